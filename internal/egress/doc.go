// Package egress is the only place that opens connections to the outside: it sends requests to targets that users typed
// in, and sees to it that none of them reaches the network that Hookkeeper runs in.
//
// # Where may a request go
//
// The verdict is on the address that a socket is about to connect to, given by the dialler's ControlContext: behind the
// lookup, so that a name that resolves differently each time, a mixed answer, a CNAME or a spelling that nobody thought of
// ends at the same gate as a plain address. Everything is closed except what is known to be public; see special. The
// operator opens more with HOOKKEEPER_ALLOW_TARGETS, see AllowList, except the services that hand out the credentials of a
// cloud machine, which stay closed in every encoding. Guard.Check gives the same verdict without a lookup, for targets
// that name their address; it is a courtesy to whoever types one, not the guard.
//
// An open connection is kept for the next request to the same scheme, host and port. These are all that a verdict is
// made of besides the address, which a connection cannot change, so a kept one would be judged the same again.
//
// # How a request is sent
//
// Over HTTP/1.1 only: each request has a connection to itself, so that the address, the phases and the failure of an
// attempt are its own and not those of a connection that it shares, and its bytes are those that were captured. No
// redirect is followed, no proxy of the environment used, no header added except Host and Content-Length, no answer
// decompressed. Requests that have reached a target are not repeated here, except that net/http repeats those of safe
// methods when a kept connection turns out to be closed; repeating is up to whoever counts the attempts.
//
// One deadline covers everything; name lookup with connecting, and the TLS handshake, have tighter ones. What is read of
// an answer is bounded: 64 KiB of headers, informational answers included, and 64 KiB of the body.
package egress
