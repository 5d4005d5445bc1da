package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/templates"
)

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
	ids, err := chosenIDs(r, "delivery", hook.DeliveryPrefix)
	if err != nil {
		return err
	}
	made, err := s.Store.ResendDeliveries(r.Context(), actor(r), user(r).Email, ids...)
	if err != nil {
		return err
	}
	var captureURL hook.ID
	if len(made) > 0 {
		captureURL = made[0].CaptureURLID
	}
	return s.tellResent(w, r, captureURL, len(made), len(ids))
}

// resendRequest: POST /urls/{id}/requests/{rid}/resend, with the fields of typedResend
func (s *Server) resendRequest(w http.ResponseWriter, r *http.Request) error {
	_, u, request, err := s.ownRequest(r, "Resend")
	if err != nil {
		return err
	}
	form, to, err := s.typedResend(r)
	if err != nil {
		return s.refuseResend(w, r, form, err)
	}
	for i := range to {
		to[i].RequestID = request
	}
	made, err := s.Store.Resend(r.Context(), actor(r), user(r).Email, to...)
	if err != nil {
		return s.refuseResend(w, r, form, err)
	}
	return s.redirect(w, r, resentPath(u.ID, request, made))
}

// typedResend reads where something is to be resent: subscription (ids), retry, target_url and sign_as. The error names the
// fields that are wrong.
func (s *Server) typedResend(r *http.Request) (form templates.ResendForm, to []hook.Resend, err error) {
	form.TargetURL, form.NoRetry = strings.TrimSpace(r.PostForm.Get("target_url")), r.PostForm.Get("retry") != "true"
	var bad []error
	for _, text := range r.PostForm["subscription"] {
		sub, err := s.referredSubscription(r, "subscription", text)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		if slices.Contains(form.To, sub.ID) {
			continue
		}
		form.To = append(form.To, sub.ID)
		to = append(to, hook.Resend{SubscriptionID: sub.ID, Retry: !form.NoRetry})
	}
	if text := r.PostForm.Get("sign_as"); text != "" {
		sub, err := s.referredSubscription(r, "sign_as", text)
		bad = append(bad, err)
		form.SignAs = sub.ID
	}
	if form.TargetURL != "" {
		bad = append(bad, s.checkTypedTarget("target_url", form.TargetURL))
		to = append(to, hook.Resend{TargetURL: form.TargetURL, SignAs: form.SignAs})
	} else if form.SignAs != 0 {
		bad = append(bad, fieldError("sign_as", "is for another URL: type one, or choose none"))
	}
	if err := joinInvalid(bad...); err != nil {
		return form, nil, err
	}
	if len(to) == 0 {
		return form, nil, fieldError("subscription", "choose a subscription, or type a URL")
	}
	return form, to, nil
}

// resendSelected: POST /urls/{id}/resend, with request (ids). action=send, with the fields of typedResend, sends them; otherwise
// the page asks where.
func (s *Server) resendSelected(w http.ResponseWriter, r *http.Request) error {
	page, u, err := s.ownURL(r, "Resend")
	if err != nil {
		return err
	}
	chosen := templates.Selection{URL: u, Subscriptions: s.Store.SubscriptionsOf(u.ID)}
	if chosen.Requests, err = chosenIDs(r, "request", hook.RequestPrefix); err != nil {
		return err
	}
	if chosen.Targets, err = s.Store.RecentTargets(r.Context(), actor(r), u.ID); err != nil {
		return err
	}
	if r.PostForm.Get("action") != "send" {
		return s.render(w, r, http.StatusOK, templates.ResendSelected(page, chosen))
	}
	form, to, err := s.typedResend(r)
	if n := len(to) * len(chosen.Requests); err == nil && n > hook.MaxResent {
		s.Tally.Count(hook.LimitSelected)
		err = fieldError("subscription", fmt.Sprintf("these would be %d deliveries, and %d at once are the most: choose fewer, or replay", n, hook.MaxResent))
	}
	chosen.Form = form
	if err != nil {
		return s.refuseSelected(w, r, page, chosen, err)
	}
	var resends []hook.Resend
	for _, id := range chosen.Requests {
		for _, resend := range to {
			resend.RequestID = id
			resends = append(resends, resend)
		}
	}
	made, err := s.Store.ResendPossible(r.Context(), actor(r), user(r).Email, resends...)
	if err != nil && len(made) > 0 {
		return err // the form, sent again, would send those once more
	}
	if err != nil {
		return s.refuseSelected(w, r, page, chosen, err)
	}
	return s.tellResent(w, r, u.ID, len(made), len(resends))
}

// refuseSelected asks again where chosen requests are to be resent, with what is wrong.
func (s *Server) refuseSelected(w http.ResponseWriter, r *http.Request, page templates.Page, chosen templates.Selection, err error) error {
	status, problems, err := s.refuse(w, r, err)
	if err != nil {
		return err
	}
	chosen.Form.Errors = problems
	return s.render(w, r, status, templates.ResendSelected(page, chosen))
}

// chosenIDs returns what the boxes of a list chose.
func chosenIDs(r *http.Request, field, prefix string) ([]hook.ID, error) {
	texts := r.PostForm[field]
	if len(texts) == 0 {
		return nil, hook.Errorf(hook.Malformed, "Choose some of the list.")
	}
	if len(texts) > hook.MaxSelected {
		return nil, hook.LimitSelected.Errorf(hook.Invalid, "Choose at most %d of the list, or replay a time.", hook.MaxSelected)
	}
	return distinctIDs(texts, prefix)
}

// distinctIDs reads ids, each of which counts once.
func distinctIDs(texts []string, prefix string) (ids []hook.ID, err error) {
	for _, text := range texts {
		id, ok := hook.ParseID(prefix, text)
		if !ok {
			return nil, errNoPage
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// tellResent shows the deliveries that were made of those that were asked for.
func (s *Server) tellResent(w http.ResponseWriter, r *http.Request, captureURL hook.ID, made, asked int) error {
	if made == 0 {
		return hook.Errorf(hook.Conflict, "None of these can be resent: their requests are not kept any more.")
	}
	said := strconv.Itoa(made) + " resent."
	if missed := asked - made; missed > 0 {
		said += " " + strconv.Itoa(missed) + " could not be: their requests are not kept any more."
	}
	s.flash(r, said)
	return s.redirect(w, r, urlPath(captureURL)+"/deliveries")
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
func (s *Server) refuseResend(w http.ResponseWriter, r *http.Request, form templates.ResendForm, err error) error {
	status, problems, err := s.refuse(w, r, err)
	if err != nil {
		return err
	}
	form.Errors = problems
	page, in, err := s.inspector(r)
	if err != nil {
		return err
	}
	detail, done, err := s.requestDetail(r, in.URL)
	defer done()
	if err != nil {
		return err
	}
	in.Detail = detail
	in.Detail.Tab = templates.TabDeliveries
	in.Detail.Deliveries.Form = form
	if err := s.listAround(r, &in); err != nil {
		return err
	}
	return s.render(w, r, status, templates.InspectorPage(page, in))
}

// resentPage: GET /urls/{id}/requests/{rid}/resent?ids=
func (s *Server) resentPage(w http.ResponseWriter, r *http.Request) error {
	page, u, request, err := s.ownRequest(r, "Resent")
	if err != nil {
		return err
	}
	ids, err := distinctIDs(strings.Split(r.URL.Query().Get("ids"), ","), "")
	if err != nil || len(ids) > hook.MaxSubscriptions+1 {
		return errNoPage
	}
	rows := make([]hook.Delivery, len(ids))
	for i, id := range ids {
		if rows[i], err = s.Store.Delivery(r.Context(), actor(r), id); err != nil || rows[i].RequestID != request {
			return errNoPage
		}
	}
	if err := s.Store.InOrder(r.Context(), rows); err != nil {
		return err
	}
	view := templates.ResentView{Request: requestPath(u.ID, request)}
	for i, d := range rows {
		if i >= hook.MaxAnswersShown {
			view.Others = append(view.Others, d)
			continue
		}
		answer, err := s.answerView(r, d)
		if err != nil {
			return err
		}
		view.Answers = append(view.Answers, answer)
	}
	page.Live = deliveriesLive(u.ID)
	return s.render(w, r, http.StatusOK, templates.Resent(page, view))
}

// answerView returns a delivery with the beginning of its newest answer.
func (s *Server) answerView(r *http.Request, d hook.Delivery) (templates.AnswerView, error) {
	v := templates.AnswerView{Delivery: d}
	last, err := s.Store.LastAttempt(r.Context(), actor(r), d.ID)
	if last != nil {
		short := attemptView(last, false, nil)
		v.Last = &short
	}
	return v, err
}

// editRequestPage: GET /urls/{id}/requests/{rid}/edit; ?delivery= begins with what that delivery sent.
func (s *Server) editRequestPage(w http.ResponseWriter, r *http.Request) error {
	page, u, err := s.ownURL(r, "Edit and resend")
	if err != nil {
		return err
	}
	request, done, err := s.ownWhole(r, u)
	defer done()
	if err != nil {
		return err
	}
	form := templates.EditForm{Request: request, URL: u, Subscriptions: s.Store.SubscriptionsOf(u.ID), Retry: true}
	d, edit, err := s.beginsWith(r, request, r.URL.Query().Get("delivery"))
	if err != nil {
		return err
	}
	switch {
	case d.ID != 0:
		form.Delivery, form.SubscriptionID = d.ID, d.SubscriptionID
		if d.SubscriptionID == 0 {
			form.TargetURL, form.SignAs, form.Retry = d.TargetURL, d.SignAs, d.Retry
		}
	case len(form.Subscriptions) == 1: // of several nobody knows which is meant
		form.SubscriptionID = form.Subscriptions[0].ID
	}
	if edit == nil {
		edit = newEdit(request, subscriptionOf(form))
	}
	fillEdit(&form, edit)
	return s.render(w, r, http.StatusOK, templates.EditAndResend(page, form))
}

// beginsWith returns the delivery of a request that the form begins with, none when the text is "", and its edited copy if it
// sent one.
func (s *Server) beginsWith(r *http.Request, request *hook.Request, text string) (d hook.Delivery, edit *hook.Edit, err error) {
	if text == "" {
		return d, nil, nil
	}
	id, _ := hook.ParseID(hook.DeliveryPrefix, text)
	d, err = s.Store.Delivery(r.Context(), actor(r), id)
	switch {
	case hook.Is(err, hook.NotFound) || err == nil && d.RequestID != request.ID:
		return d, nil, errNoPage
	case err == nil && d.Edited:
		edit, err = s.Store.Edit(r.Context(), actor(r), id)
	}
	return d, edit, err
}

// subscriptionOf returns the subscription that is chosen in a form, nil when none is or it is gone.
func subscriptionOf(form templates.EditForm) *hook.Subscription {
	for _, sub := range form.Subscriptions {
		if sub.ID == form.SubscriptionID {
			return sub
		}
	}
	return nil
}

// bodyOf returns what an edited copy sends.
func bodyOf(e *hook.Edit, request *hook.Request) []byte {
	if e == nil || e.Body == nil {
		return request.Body
	}
	return e.Body
}

// fillEdit writes an edited copy into the form.
func fillEdit(form *templates.EditForm, e *hook.Edit) {
	form.Method, form.Path, form.Query = e.Method, e.Path, e.Query
	var lines []string
	for _, h := range e.Headers {
		lines = append(lines, h.Name+": "+h.Value)
	}
	form.Headers = strings.ToValidUTF8(strings.Join(lines, "\n"), "\uFFFD")
	body := bodyOf(e, form.Request)
	form.BodyIsBinary = !editable(body)
	if !form.BodyIsBinary {
		form.Body = string(body)
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
	page, u, err := s.ownURL(r, "Edit and resend")
	if err != nil {
		return err
	}
	request, done, err := s.ownWhole(r, u)
	defer done()
	if err != nil {
		return err
	}
	d, edit, err := s.beginsWith(r, request, r.PostForm.Get("delivery"))
	if err != nil {
		return err
	}
	before := bodyOf(edit, request)
	form := templates.EditForm{
		Request: request, URL: u, Delivery: d.ID, Subscriptions: s.Store.SubscriptionsOf(u.ID), TargetURL: strings.TrimSpace(r.PostForm.Get("target_url")),
		Method: r.PostForm.Get("method"), Path: r.PostForm.Get("path"), Query: r.PostForm.Get("query"), Headers: typedText(r.PostForm.Get("headers")),
		Body: r.PostForm.Get("body"), BodyIsBinary: !editable(before), Retry: r.PostForm.Get("retry") == "true",
	}
	resend, err := s.readEdited(r, &form, before)
	if err == nil {
		var made []hook.Delivery
		if made, err = s.Store.Resend(r.Context(), actor(r), user(r).Email, resend); err == nil {
			return s.redirect(w, r, deliveryPath(made[0].ID))
		}
	}
	status, problems, err := s.refuse(w, r, err)
	if err != nil {
		return err
	}
	form.Errors = problems
	return s.render(w, r, status, templates.EditAndResend(page, form))
}

// editedTarget returns where the copy is to go. Only one place is taken: of two, whichever we chose, the other would be what was
// meant.
func (s *Server) editedTarget(r *http.Request, form *templates.EditForm) (hook.Resend, error) {
	resend := hook.Resend{RequestID: form.Request.ID, Retry: form.Retry}
	var bad []error
	chosen, signAs := r.PostForm.Get("subscription"), r.PostForm.Get("sign_as")
	if chosen != "" {
		sub, err := s.referredSubscription(r, "subscription", chosen)
		bad = append(bad, err)
		form.SubscriptionID, resend.SubscriptionID = sub.ID, sub.ID
	}
	if signAs != "" {
		sub, err := s.referredSubscription(r, "sign_as", signAs)
		bad = append(bad, err)
		form.SignAs = sub.ID
	}
	switch {
	case chosen != "" && form.TargetURL != "":
		bad = append(bad, fieldError("target_url", "is typed while a subscription is chosen: choose “the URL below”, or empty this"))
	case chosen != "" && signAs != "":
		bad = append(bad, fieldError("sign_as", "is for another URL: a subscription signs with its own secret"))
	case chosen == "" && form.TargetURL == "":
		bad = append(bad, fieldError("subscription", "is open: choose a subscription, or type a URL"))
	case chosen == "":
		bad = append(bad, s.checkTypedTarget("target_url", form.TargetURL))
		resend.TargetURL, resend.SignAs, resend.Retry = form.TargetURL, form.SignAs, false
	}
	return resend, joinInvalid(bad...)
}

// readEdited returns what the form asks for, when the body was one before.
func (s *Server) readEdited(r *http.Request, form *templates.EditForm, before []byte) (hook.Resend, error) {
	resend, bad := s.editedTarget(r, form)
	headers, err := readHeaderLines(form.Headers, "headers")
	e := &hook.Edit{Method: form.Method, Path: form.Path, Query: form.Query, Headers: headers, Body: before}
	if !form.BodyIsBinary {
		e.Body = []byte(form.Body)
		if !strings.Contains(string(before), "\r\n") {
			e.Body = []byte(typedText(form.Body))
		}
	}
	leaveOutBody(e, form.Request)
	resend.Edit = e
	return resend, joinInvalid(bad, err, e.Validate())
}
