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

// TestSkippedInWords: the request, the lists and the dry run say in the same words why a request was not delivered.
func TestSkippedInWords(t *testing.T) {
	const rule, want = `content_type contains "json"`, `content type does not contain "json"`
	p := Page{}
	list := DeliveryList{Rows: []hook.Delivery{{State: hook.Skipped, Reason: rule}}, Refused: []Refusal{{Rule: rule}}}
	for _, why := range parse(t, DeliveryTable(p, list, true)).All(".why") {
		if got := strings.TrimSpace(why.Text()); got != want {
			t.Errorf("a list: %q", got)
		}
	}
	tried := &DryRunResult{Total: 1, Items: []DryRunItem{{Summary: sampleRequest().Summary, Rule: rule}}}
	cells := parse(t, dryRunResult(p, tried)).All("td.wrap-any")
	if got := strings.Join(strings.Fields(cells[0].Text()), " "); got != "skipped: "+want {
		t.Errorf("the dry run: %q", got)
	}
}

// TestOutcomeOfSeveral: the mark of a request counts its targets, whose worst state gives the colour; one target is told by its
// state, and those whose filter said no are not counted.
func TestOutcomeOfSeveral(t *testing.T) {
	of := func(states ...hook.State) (deliveries []hook.Delivery) {
		for i, s := range states {
			d := hook.Delivery{SubscriptionID: hook.ID(i + 1), State: s}
			if s == hook.Succeeded {
				d.LastStatus = 200
			}
			deliveries = append(deliveries, d)
		}
		return deliveries
	}
	old := of(hook.Succeeded, hook.Held)
	again := append(of(hook.Succeeded, hook.Succeeded), old...) // both were delivered again: only that counts
	for _, tc := range []struct {
		deliveries           []hook.Delivery
		short, detail, class string
	}{
		{of(hook.Succeeded), "✓ 200", "delivered 200", "state good"},
		{of(hook.Held), "‖ held", "held", "state warn"},
		{of(hook.Skipped, hook.Succeeded), "✓ 200", "delivered 200", "state good"},
		{of(hook.Skipped, hook.Skipped), "– skipped", "skipped", "state quiet"},
		{old, "‖ 1 of 2", "1 of 2 delivered, 1 held", "state warn"},
		{again, "✓ 2 of 2", "2 of 2 delivered", "state good"},
		{
			of(hook.Held, hook.Waiting, hook.Failed, hook.Skipped, hook.Succeeded, hook.Cancelled, hook.Held), "✕ 1 of 6",
			"1 of 6 delivered, 1 waiting, 2 held, 1 failed, 1 cancelled, 1 skipped", "state bad",
		},
	} {
		o := hook.Worst(tc.deliveries)
		mark := parse(t, RequestMark(&o)).One(".state")
		if mark.Text() != tc.short+tc.detail || mark.Attr("title") != tc.detail || mark.Attr("class") != tc.class {
			t.Errorf("%q, %q, %q; want %q and %q, %q", mark.Text(), mark.Attr("title"), mark.Attr("class"), tc.short, tc.detail, tc.class)
		}
	}
}
