// Package web is the site: the dashboard's pages, their WebSockets and the JSON API.
//
// Every route stands in routes.go with who may use it and what body it takes; the middleware around all of them in
// middleware.go. Handlers return an error, and errors.go is the only place where an error becomes a status and a page
// or, below /api, application/problem+json.
//
// A request's path is looked at before any router: /in/… belongs to the capture handler to the byte, and a path of the
// dashboard that is not in its one clean form is a 404, never a redirect.
package web
