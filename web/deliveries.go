package web

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/store"
	"github.com/hookkeeper/hookkeeper/templates"
)

func deliveryPath(id hook.ID) string { return "/deliveries/" + id.Text(hook.DeliveryPrefix) }

// deliveriesLive returns where a page hears of deliveries.
func deliveriesLive(captureURL hook.ID) string { return urlPath(captureURL) + "/live?of=deliveries" }

// deliveryList returns the page of deliveries that ?state= and ?before= ask for.
func (s *Server) deliveryList(r *http.Request, path string, page store.DeliveryPage) (templates.DeliveryList, error) {
	list := templates.DeliveryList{Path: path}
	query := r.URL.Query()
	if state, ok := hook.ParseState(query.Get("state")); ok {
		page.States, list.State = []hook.State{state}, state.String()
	}
	page.Before, _ = hook.ParseID(hook.DeliveryPrefix, query.Get("before"))
	page.Limit = deliveryRows + 1
	rows, err := s.Store.Deliveries(r.Context(), actor(r), page)
	if err != nil {
		return list, err
	}
	if len(rows) > deliveryRows {
		rows = rows[:deliveryRows]
		list.Older = path + "?before=" + rows[deliveryRows-1].ID.Text(hook.DeliveryPrefix)
		if list.State != "" {
			list.Older += "&state=" + list.State
		}
	}
	list.Rows = rows
	return list, nil
}

// deliveriesPage: GET /urls/{id}/deliveries; ?state= and ?before= choose among them.
func (s *Server) deliveriesPage(w http.ResponseWriter, r *http.Request) error {
	page, u, err := s.ownURL(r, "Deliveries")
	if err != nil {
		return err
	}
	list, err := s.deliveryList(r, urlPath(u.ID)+"/deliveries", store.DeliveryPage{CaptureURL: u.ID})
	if err != nil {
		return err
	}
	page.Live = deliveriesLive(u.ID)
	return s.render(w, r, http.StatusOK, templates.Deliveries(page, u, list))
}

// deliveryPage: GET /deliveries/{id}
func (s *Server) deliveryPage(w http.ResponseWriter, r *http.Request) error {
	page := s.page(r, "Delivery")
	id, err := pathID(r, "id", hook.DeliveryPrefix)
	if err != nil {
		return err
	}
	v, err := s.deliveryView(r, id)
	if err != nil {
		return err
	}
	page.Crumbs = []templates.Crumb{
		home, {Name: v.URL.Name, Path: urlPath(v.URL.ID)}, {Name: "Deliveries", Path: urlPath(v.URL.ID) + "/deliveries"}, {Name: "Delivery"},
	}
	page.Live = deliveriesLive(v.URL.ID)
	return s.render(w, r, http.StatusOK, templates.DeliveryPage(page, v))
}

func (s *Server) deliveryView(r *http.Request, id hook.ID) (v templates.DeliveryView, err error) {
	if v.Delivery, v.Attempts, err = s.Store.Delivery(r.Context(), actor(r), id); err != nil {
		return v, err
	}
	u, err := s.Store.CaptureURL(r.Context(), actor(r), v.CaptureURLID)
	if err != nil {
		return v, err
	}
	v.URL = u.CaptureURL
	v.Request, err = s.Store.Request(r.Context(), actor(r), v.RequestID)
	if hook.Is(err, hook.NotFound) {
		v.Request, err = nil, nil
	}
	return v, err
}

// resendDelivery: POST /deliveries/{id}/resend
func (s *Server) resendDelivery(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.DeliveryPrefix)
	if err != nil {
		return err
	}
	made, err := s.Store.ResendDelivery(r.Context(), actor(r), user(r).Email, id)
	if err != nil {
		return err
	}
	s.flash(r, "Resent: this is the new delivery.")
	return s.redirect(w, r, deliveryPath(made.ID))
}

// resendDeliveries: POST /deliveries/resend, with delivery (ids)
func (s *Server) resendDeliveries(w http.ResponseWriter, r *http.Request) error {
	texts := r.PostForm["delivery"]
	if len(texts) == 0 || len(texts) > hook.MaxSelected {
		return hook.Errorf(hook.Malformed, "Choose 1 to %d deliveries.", hook.MaxSelected)
	}
	ids := make([]hook.ID, len(texts))
	for i, text := range texts {
		id, ok := hook.ParseID(hook.DeliveryPrefix, text)
		if !ok {
			return errNoPage
		}
		ids[i] = id
	}
	made, err := s.Store.ResendDeliveries(r.Context(), actor(r), user(r).Email, ids...)
	if err != nil {
		return err
	}
	if len(made) == 0 {
		return hook.Errorf(hook.Conflict, "None of these can be resent: their requests are not kept any more.")
	}
	said := strconv.Itoa(len(made)) + " resent."
	if missed := len(ids) - len(made); missed > 0 {
		said += " " + strconv.Itoa(missed) + " could not be: their requests are not kept any more."
	}
	s.flash(r, said)
	return s.redirect(w, r, urlPath(made[0].CaptureURLID)+"/deliveries")
}

// cancelDelivery: POST /deliveries/{id}/cancel
func (s *Server) cancelDelivery(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.DeliveryPrefix)
	if err != nil {
		return err
	}
	if _, err := s.Store.CancelDelivery(r.Context(), actor(r), user(r).Email, id); err != nil {
		return err
	}
	s.flash(r, "The delivery is cancelled.")
	return s.redirect(w, r, deliveryPath(id))
}

// requestDeliveriesTab returns what the tab of a request shows.
func (s *Server) requestDeliveriesTab(r *http.Request, captureURL, id hook.ID) (templates.RequestDeliveries, error) {
	tab := templates.RequestDeliveries{Subscriptions: s.Store.SubscriptionsOf(captureURL)}
	var err error
	if tab.Rows, err = s.Store.Deliveries(r.Context(), actor(r), store.DeliveryPage{Request: id, Limit: hook.MaxPageItems}); err != nil {
		return tab, err
	}
	if len(tab.Rows) > 0 {
		tab.Outcome = hook.Worst(tab.Rows)
	}
	if tab.Targets, err = s.Store.RecentTargets(r.Context(), actor(r), captureURL); err != nil {
		return tab, err
	}
	refused, err := s.Store.Refusals(r.Context(), actor(r), id)
	for _, route := range refused {
		if sub, err := s.Store.Subscription(r.Context(), actor(r), route.Subscription); err == nil {
			tab.Refused = append(tab.Refused, templates.Refusal{ID: sub.ID, Name: sub.Name, Rule: route.Rule})
		}
	}
	return tab, err
}

// ownRequest returns the request that the path names and its capture URL.
func (s *Server) ownRequest(r *http.Request, title string) (templates.Page, templates.URLItem, *hook.Request, error) {
	page, u, err := s.ownURL(r, title)
	if err != nil {
		return page, u, nil, err
	}
	id, err := pathID(r, "rid", hook.RequestPrefix)
	if err != nil {
		return page, u, nil, err
	}
	request, err := s.Store.Request(r.Context(), actor(r), id)
	if err == nil && request.CaptureURLID != u.ID {
		err = errNoPage
	}
	return page, u, request, err
}

// resendRequest: POST /urls/{id}/requests/{rid}/resend, with subscription (ids), target_url, retry
func (s *Server) resendRequest(w http.ResponseWriter, r *http.Request) error {
	_, u, request, err := s.ownRequest(r, "Resend")
	if err != nil {
		return err
	}
	var resends []hook.Resend
	for _, text := range r.PostForm["subscription"] {
		sub, err := s.referredSubscription(r, "subscription", text)
		if err != nil {
			return s.refuseResend(w, r, r.PostForm.Get("target_url"), err)
		}
		resends = append(resends, hook.Resend{RequestID: request.ID, SubscriptionID: sub.ID, Retry: r.PostForm.Get("retry") == "true"})
	}
	target := strings.TrimSpace(r.PostForm.Get("target_url"))
	if target != "" {
		err = s.checkTypedTarget("target_url", target)
		resends = append(resends, hook.Resend{RequestID: request.ID, TargetURL: target})
	} else if len(resends) == 0 {
		err = fieldError("subscription", "choose a subscription, or type a URL")
	}
	if err == nil && len(resends) > hook.MaxOneOffTargets+hook.MaxSubscriptions {
		err = fieldError("subscription", "these are too many at once")
	}
	if err != nil {
		return s.refuseResend(w, r, target, err)
	}
	made, err := s.Store.Resend(r.Context(), actor(r), user(r).Email, resends...)
	if err != nil {
		return err
	}
	return s.redirect(w, r, resentPath(u.ID, request.ID, made))
}

// resentPath is where the answers of a resend are seen: of one on its own page, of several side by side.
func resentPath(captureURL, request hook.ID, made []hook.Delivery) string {
	if len(made) == 1 {
		return deliveryPath(made[0].ID)
	}
	ids := make([]string, len(made))
	for i, d := range made {
		ids[i] = d.ID.Text("")
	}
	return requestPath(captureURL, request) + "/resent?ids=" + strings.Join(ids, ",")
}

// refuseResend shows the request again with what is wrong.
func (s *Server) refuseResend(w http.ResponseWriter, r *http.Request, target string, err error) error {
	fields, err := fieldErrors(err)
	if err != nil {
		return err
	}
	page, in, err := s.inspector(r)
	if err != nil {
		return err
	}
	if in.Detail, err = s.requestDetail(r, in.URL); err != nil {
		return err
	}
	in.Detail.Tab = templates.TabDeliveries
	in.Detail.Deliveries.Form = templates.ResendForm{TargetURL: target, Errors: fields}
	if err := s.listAround(r, &in); err != nil {
		return err
	}
	return s.render(w, r, http.StatusUnprocessableEntity, templates.InspectorPage(page, in))
}

// resentPage: GET /urls/{id}/requests/{rid}/resent?ids=
func (s *Server) resentPage(w http.ResponseWriter, r *http.Request) error {
	page, u, request, err := s.ownRequest(r, "Resent")
	if err != nil {
		return err
	}
	var views []templates.DeliveryView
	for i, text := range strings.Split(r.URL.Query().Get("ids"), ",") {
		id, ok := hook.ParseID("", text)
		if !ok || i >= hook.MaxOneOffTargets+hook.MaxSubscriptions {
			return errNoPage
		}
		v, err := s.deliveryView(r, id)
		if err != nil || v.RequestID != request.ID {
			return errNoPage
		}
		views = append(views, v)
	}
	page.Live = deliveriesLive(u.ID)
	return s.render(w, r, http.StatusOK, templates.Resent(page, u, views))
}

// editRequestPage: GET /urls/{id}/requests/{rid}/edit; ?delivery= begins with what that delivery sent.
func (s *Server) editRequestPage(w http.ResponseWriter, r *http.Request) error {
	page, u, request, err := s.ownRequest(r, "Edit and resend")
	if err != nil {
		return err
	}
	form := templates.EditForm{Request: request, URL: u, Subscriptions: s.Store.SubscriptionsOf(u.ID), Retry: true}
	edit := newEdit(request, nil)
	if text := r.URL.Query().Get("delivery"); text != "" {
		id, _ := hook.ParseID(hook.DeliveryPrefix, text)
		d, _, err := s.Store.Delivery(r.Context(), actor(r), id)
		if err != nil || d.RequestID != request.ID {
			return errNoPage
		}
		form.SubscriptionID = d.SubscriptionID
		if d.SubscriptionID == 0 {
			form.TargetURL, form.Retry = d.TargetURL, d.Retry
		}
		if d.Edit != nil {
			edit = d.Edit
		}
	} else if len(form.Subscriptions) > 0 {
		form.SubscriptionID = form.Subscriptions[0].ID
		edit = newEdit(request, form.Subscriptions[0])
	}
	fillEdit(&form, edit)
	return s.render(w, r, http.StatusOK, templates.EditAndResend(page, form))
}

// fillEdit writes an edited copy into the form.
func fillEdit(form *templates.EditForm, e *hook.Edit) {
	form.Method, form.Path, form.Query = e.Method, e.Path, e.Query
	var lines []string
	for _, h := range e.Headers {
		lines = append(lines, h.Name+": "+h.Value)
	}
	form.Headers = strings.ToValidUTF8(strings.Join(lines, "\n"), "\uFFFD")
	form.BodyIsBinary = !editable(e.Body)
	if !form.BodyIsBinary {
		form.Body = string(e.Body)
	}
}

// editable reports whether a body can be edited in a text field, which knows line breaks but not which.
func editable(body []byte) bool {
	return len(body) <= hook.MaxEditedBody && utf8.Valid(body) && !strings.ContainsRune(string(body), 0) &&
		(!strings.Contains(string(body), "\r") || strings.Count(string(body), "\r\n") == strings.Count(string(body), "\n") &&
			strings.Count(string(body), "\r") == strings.Count(string(body), "\n"))
}

// sendEdited: POST /urls/{id}/requests/{rid}/edit
func (s *Server) sendEdited(w http.ResponseWriter, r *http.Request) error {
	page, u, request, err := s.ownRequest(r, "Edit and resend")
	if err != nil {
		return err
	}
	form := templates.EditForm{
		Request: request, URL: u, Subscriptions: s.Store.SubscriptionsOf(u.ID), TargetURL: strings.TrimSpace(r.PostForm.Get("target_url")),
		Method: r.PostForm.Get("method"), Path: r.PostForm.Get("path"), Query: r.PostForm.Get("query"), Headers: typedText(r.PostForm.Get("headers")),
		Body: r.PostForm.Get("body"), BodyIsBinary: !editable(request.Body), Retry: r.PostForm.Get("retry") == "true",
	}
	resend, err := s.readEdited(r, &form)
	if err == nil {
		var made []hook.Delivery
		if made, err = s.Store.Resend(r.Context(), actor(r), user(r).Email, resend); err == nil {
			return s.redirect(w, r, deliveryPath(made[0].ID))
		}
	}
	if form.Errors, err = fieldErrors(err); err != nil {
		return err
	}
	return s.render(w, r, http.StatusUnprocessableEntity, templates.EditAndResend(page, form))
}

// readEdited returns what the form asks for.
func (s *Server) readEdited(r *http.Request, form *templates.EditForm) (hook.Resend, error) {
	resend := hook.Resend{RequestID: form.Request.ID, Retry: form.Retry}
	var bad error
	if text := r.PostForm.Get("subscription"); text != "" {
		sub, err := s.referredSubscription(r, "subscription", text)
		bad = err
		form.SubscriptionID, resend.SubscriptionID = sub.ID, sub.ID
	} else {
		bad = s.checkTypedTarget("target_url", form.TargetURL)
		resend.TargetURL, resend.Retry = form.TargetURL, false
	}
	headers, err := readHeaderLines(form.Headers)
	if err != nil {
		err = relocate(err, "response.headers", "headers")
	}
	e := &hook.Edit{Method: form.Method, Path: form.Path, Query: form.Query, Headers: headers, Body: form.Request.Body}
	if !form.BodyIsBinary {
		e.Body = []byte(form.Body)
		if !strings.Contains(string(form.Request.Body), "\r\n") {
			e.Body = []byte(typedText(form.Body))
		}
	}
	resend.Edit = e
	return resend, joinInvalid(bad, err, e.Validate())
}

// markOutcomes says on the rows of a list what became of their deliveries.
func (s *Server) markOutcomes(r *http.Request, list *templates.RequestList) error {
	ids := make([]hook.ID, len(list.Rows))
	for i, row := range list.Rows {
		ids[i] = row.ID
	}
	outcomes, err := s.Store.Outcomes(r.Context(), ids)
	if err != nil {
		return err
	}
	for i := range list.Rows {
		if o, ok := outcomes[list.Rows[i].ID]; ok {
			list.Rows[i].Outcome = &o
		}
	}
	return nil
}
