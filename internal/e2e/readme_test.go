package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestReadmePictures makes the pictures of README anew, when HOOKKEEPER_TEST_README is set.
func TestReadmePictures(t *testing.T) {
	if os.Getenv("HOOKKEEPER_TEST_README") == "" {
		t.Skip("HOOKKEEPER_TEST_README=1 makes the pictures of README")
	}
	s := start(t, allowLoopback)
	s.kill()
	s.Addr = "127.0.0.1:8080" // which is seen
	s.restart()
	u := s.newURL(map[string]any{"name": "orders", "slug": "orders-7kq2mvd9"})
	target := newReceiver(t)
	shop := s.subscribe(u, target.URL+"/hooks", map[string]any{"name": "shop"})
	s.subscribe(u, target.URL+"/stock", map[string]any{
		"name": "stock", "filter": map[string]any{"all": []any{map[string]any{"field": "path", "op": "contains", "value": "stock"}}},
	})
	var opened string
	for _, r := range readmeRequests {
		id := s.sendReadme(u, r)
		s.delivery(id, "succeeded")
		if strings.HasPrefix(r.path, "/stripe?") {
			opened = id
		}
	}
	p := open(t, s).login()
	shoot := func(name string) {
		for _, theme := range []string{"light", "dark"} {
			p.theme(theme)
			p.run(endTransitions)
			png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
			p.must(err)
			if err := os.WriteFile(filepath.Join("../../.github", name+"-"+theme+".png"), png, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.size(1440, 860)
	p.visit("/urls/" + u.ID + "/requests/" + opened)
	p.wantState("Live")
	shoot("inspector")

	order := func(number int, state string) {
		s.delivery(s.sendReadme(u, readmeRequest{"POST", fmt.Sprint("/orders/", number), "Content-Type: application/json", `{"paid":true}`}), state)
	}
	for i := range 37 {
		order(1201+i, "succeeded")
	}
	target.status.Store(http.StatusServiceUnavailable)
	for i := range 3 {
		order(1238+i, "waiting")
	}
	p.size(1200, 720)
	p.visit("/subscriptions/" + shop)
	p.wantState("Live")
	shoot("subscription")
}

type readmeRequest struct{ method, path, headers, body string }

func (s *server) sendReadme(u captureURL, r readmeRequest) (id string) {
	head := fmt.Sprintf("%s /in/%s%s HTTP/1.1\nHost: %s\n%s\nContent-Length: %d\n\n", r.method, u.Slug, r.path, s.Addr, cmp.Or(r.headers, "Accept: */*"), len(r.body))
	return s.sendAny(strings.ReplaceAll(head, "\n", "\r\n") + r.body)
}

// readmeRequests are in the order in which they arrive.
var readmeRequests = []readmeRequest{
	{"POST", "/upload", "Content-Type: image/png", strings.Repeat("\x89PNG", 59_000)},
	{"POST", "/slack/events", "Content-Type: application/x-www-form-urlencoded", "token=Jhj5dZrVaK7ZwHHjRyZWjbDl&command=%2Fdeploy&text=api"},
	{"DELETE", "/crm/contacts/3fe1", "", ""},
	{"POST", "/shopify/orders", "Content-Type: application/json\nX-Shopify-Topic: orders/create", `{"id":820982911946154508,"total_price":"403.00","currency":"EUR","line_items":[]}`},
	{"PUT", "/inventory/items/8841/stock", "Content-Type: application/json", `{"available": 17}`},
	{"POST", "/github?hook=1", "Content-Type: application/json\nX-GitHub-Event: push", `{"ref":"refs/heads/main","forced":false}`},
	{
		"POST", "/stripe?attempt=2", "Content-Type: application/json; charset=utf-8\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\n" +
			"Stripe-Signature: t=1795427526,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
		`{"id":"evt_1Q8xY2LkdIwHu7ix0gPQ","type":"invoice.payment_failed","created":1795427526,"data":{"object":{"id":"in_1Q8xXzLkdIwHu7ixT1rm",` +
			`"amount_due":12900,"currency":"eur","customer_email":"jo@example.com","lines":[{"sku":"A-17","quantity":2}],"attempt_count":2}},"livemode":true}`,
	},
	{
		"POST", "/stripe", "Content-Type: application/json; charset=utf-8\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)",
		`{"id":"evt_1Q8xY3LkdIwHu7ixkQ0e","type":"invoice.paid","created":1795427531,"data":{"object":{"id":"in_1Q8xXzLkdIwHu7ixT1rm","amount_paid":12900}},"livemode":true}`,
	},
}
