package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"

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
		if state == hook.Waiting { // as a subscription counts them: what is not finished and not held
			page.States = []hook.State{hook.Pending, hook.Sending, hook.Waiting}
		}
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
	if err := s.Store.InOrder(r.Context(), rows); err != nil {
		return list, err
	}
	list.Rows = rows
	list.Of, err = s.requestsOf(r, rows)
	return list, err
}

// requestsOf returns the requests of deliveries that are kept.
func (s *Server) requestsOf(r *http.Request, deliveries []hook.Delivery) (map[hook.ID]hook.Summary, error) {
	all := map[hook.ID]hook.Summary{}
	for _, d := range deliveries {
		if _, known := all[d.RequestID]; known {
			continue
		}
		switch summary, err := s.Store.Summary(r.Context(), actor(r), d.RequestID); {
		case err == nil:
			all[d.RequestID] = summary
		case !hook.Is(err, hook.NotFound):
			return nil, err
		}
	}
	return all, nil
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

// deliveryPage: GET /deliveries/{id}; ?attempt= shows one attempt alone
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
	if number := r.URL.Query().Get("attempt"); number != "" {
		v.Alone = true
		v.Attempts = slices.DeleteFunc(v.Attempts, func(a templates.AttemptView) bool { return strconv.Itoa(a.Number) != number })
		if len(v.Attempts) == 0 {
			return errNoPage
		}
	}
	page.Crumbs = []templates.Crumb{
		home, {Name: v.URL.Name, Path: urlPath(v.URL.ID)}, {Name: "Deliveries", Path: urlPath(v.URL.ID) + "/deliveries"}, {Name: "Delivery"},
	}
	page.Live = deliveriesLive(v.URL.ID)
	return s.render(w, r, http.StatusOK, templates.DeliveryPage(page, v))
}

func (s *Server) deliveryView(r *http.Request, id hook.ID) (v templates.DeliveryView, err error) {
	if v.Delivery, err = s.oneInOrder(r, id); err != nil {
		return v, err
	}
	if v.Edited {
		if v.Edit, err = s.Store.Edit(r.Context(), actor(r), id); err != nil {
			return v, err
		}
	}
	if v.Attempts, err = s.attemptViews(r, id, v.Edit); err != nil {
		return v, err
	}
	u, err := s.Store.CaptureURL(r.Context(), actor(r), v.CaptureURLID)
	if err != nil {
		return v, err
	}
	v.URL = u.CaptureURL
	request, err := s.Store.Summary(r.Context(), actor(r), v.RequestID)
	switch {
	case err == nil:
		v.Request = &request
	case !hook.Is(err, hook.NotFound):
		return v, err
	}
	return v, nil
}

// oneInOrder returns a delivery, and which one it waits for.
func (s *Server) oneInOrder(r *http.Request, id hook.ID) (hook.Delivery, error) {
	d, err := s.Store.Delivery(r.Context(), actor(r), id)
	if err != nil {
		return d, err
	}
	one := []hook.Delivery{d}
	err = s.Store.InOrder(r.Context(), one)
	return one[0], err
}

// attemptViews returns the attempts of a delivery as a page shows them: whole are the newest and the one that ?attempt= names.
func (s *Server) attemptViews(r *http.Request, id hook.ID, edit *hook.Edit) (views []templates.AttemptView, err error) {
	attempts, done, err := s.attempts(r, id)
	defer done() // what the views hold of them is bounded
	if err != nil {
		return nil, err
	}
	chosen, _ := strconv.Atoi(r.URL.Query().Get("attempt"))
	for i, a := range attempts {
		whole := i == len(attempts)-1 || a.Number == chosen
		views = append(views, attemptView(&a, whole, edit))
	}
	return views, nil
}

// attemptView returns an attempt as a page shows it: one that is not shown whole is cut, because a page may have many.
func attemptView(a *hook.Attempt, whole bool, edit *hook.Edit) templates.AttemptView {
	if whole {
		return templates.AttemptView{Attempt: *a, Whole: true}
	}
	short, cut := a.Beginning(hook.MaxAnswerShown)
	return templates.AttemptView{Attempt: short, Cut: cut || edit != nil && len(edit.Headers) > 0}
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
	if err = s.Store.InOrder(r.Context(), tab.Rows); err != nil {
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

// ownRequest returns the capture URL and the id of the request that the path names.
func (s *Server) ownRequest(r *http.Request, title string) (templates.Page, templates.URLItem, hook.ID, error) {
	page, u, err := s.ownURL(r, title)
	if err != nil {
		return page, u, 0, err
	}
	id, err := pathID(r, "rid", hook.RequestPrefix)
	if err != nil {
		return page, u, 0, err
	}
	of, err := s.Store.CaptureURLOf(r.Context(), actor(r), id)
	if err == nil && of != u.ID {
		err = errNoPage
	}
	return page, u, id, err
}

// markOutcomes says on the rows of a list what became of their deliveries.
func (s *Server) markOutcomes(ctx context.Context, rows []templates.Row) error {
	ids := make([]hook.ID, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	outcomes, err := s.Store.Outcomes(ctx, ids)
	if err != nil {
		return err
	}
	for i := range rows {
		if o, ok := outcomes[rows[i].ID]; ok {
			rows[i].Outcome = &o
		}
	}
	return nil
}
