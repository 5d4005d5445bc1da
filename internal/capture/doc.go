// Package capture answers capture URLs: any HTTP request below /in/{slug} becomes a stored hook.Request and gets the
// capture URL's answer.
//
// It is public and hot: it has no session, no router that cleans paths, and it never parses what it stores. An answer of
// 2xx is given only after store.Capture returned nil, which means that the request is on disk.
//
// What net/http does to a request before we see it: names of headers are canonical and sorted, Host, Transfer-Encoding
// and Content-Length are fields of their own, and with Pragma: no-cache a Cache-Control: no-cache is added.
package capture
