package e2e

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// lateSockets makes sockets of pages wait until openSockets() is called in them.
const lateSockets = `
	const Real = WebSocket;
	const may = new Promise((go) => { window.openSockets = go; });
	window.WebSocket = function (address) {
		let real;
		const late = {
			get readyState() { return real?.readyState ?? Real.CONNECTING; },
			send(message) { real.send(message); },
			close() { real?.close(); },
		};
		may.then(() => {
			real = new Real(address);
			for (const name of ["onopen", "onmessage", "onclose"]) {
				real[name] = (event) => late[name]?.(event);
			}
		});
		return late;
	};
	window.WebSocket.OPEN = Real.OPEN;`

// TestDeliveredBeforeTheSocket: what a delivery came to after the page was made and before its socket was open is shown all the
// same: in the list, on the request, and on the pages of the delivery, the subscription and all capture URLs.
func TestDeliveredBeforeTheSocket(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-goOn }))
	t.Cleanup(target.Close)
	release := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(release)
	s := start(t, allowLoopback)
	u := s.newURL(nil)
	sub := s.subscribe(u, target.URL, map[string]any{"timeout_ms": 30_000})
	id := s.capture(u, "x")
	var deliveries struct{ Items []struct{ ID, State string } }
	eventually(t, "it is sent", func() bool {
		s.api(http.MethodGet, "/api/v1/deliveries?request_id="+id, nil, http.StatusOK, &deliveries)
		return len(deliveries.Items) == 1 && deliveries.Items[0].State == "sending"
	})
	first := open(t, s).login()
	p := func(path string) *tab {
		tab := first.sibling()
		_, err := chromedp.Call(tab.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: lateSockets})
		tab.must(err)
		tab.visit(path)
		return tab
	}
	shown := map[*tab]string{
		p("/urls/" + u.ID):                                         `document.querySelector('[data-id="` + id + `"] .outcome').textContent`,
		p("/urls/" + u.ID + "/requests/" + id):                     `document.getElementById("deliveries-outcome").textContent`,
		p("/deliveries/" + deliveries.Items[0].ID):                 `document.getElementById("delivery-state").textContent`,
		p("/subscriptions/" + sub):                                 `document.getElementById("subscription-deliveries").textContent`,
		p("/urls/" + u.ID + "/requests/" + id + "?tab=deliveries"): `document.getElementById("request-deliveries").textContent`,
	}
	for tab, text := range shown {
		if eval[bool](tab, text+`.includes("200")`) {
			t.Fatal("it is delivered already")
		}
	}
	release()
	eventually(t, "it is delivered", func() bool {
		s.api(http.MethodGet, "/api/v1/deliveries?request_id="+id, nil, http.StatusOK, &deliveries)
		return deliveries.Items[0].State == "succeeded"
	})
	s.capture(u, "y")
	for tab, text := range shown {
		tab.show()
		tab.run("openSockets()")
		tab.until(text + `.includes("200")`)
	}
	home := p("/")
	s.capture(u, "z")
	home.run("openSockets()")
	home.until(`document.querySelector(".url .count").textContent.includes("3")`)
}
