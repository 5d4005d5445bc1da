package templates

import (
	"strings"
	"testing"

	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// TestEditedCopy: the page of a delivery tells what was sent; of an edited copy also what it is a copy of.
func TestEditedCopy(t *testing.T) {
	request := sampleRequest().Summary
	edit := &hook.Edit{Method: "PUT", Path: "/orders/43", Query: "b=2"}
	for want, v := range map[string]DeliveryView{
		"POST /stripe?a=1&b=%C3%A9":                                               {Request: &request},
		"PUT /orders/43?b=2an edited copy of POST /stripe?a=1&b=%C3%A9":           {Request: &request, Edit: edit},
		"PUT /orders/43?b=2an edited copy of a request that is not kept any more": {Edit: edit},
		"the request is not kept any more":                                        {},
	} {
		v.TargetURL = "https://shop.example"
		facts := parse(t, DeliveryPage(sub(), v)).One("#delivery-state .facts-line").Text()
		if got, _, _ := strings.Cut(facts, v.TargetURL); strings.Join(strings.Fields(got), " ") != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
