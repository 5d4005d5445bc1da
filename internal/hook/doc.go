// Package hook is the domain of Hookkeeper: its nouns, their limits and the rules they obey.
//
// A capture URL is an address that captures what is sent to it; a request is one captured HTTP request. Users own
// capture URLs, tokens speak for users. Everything here is plain data and pure functions of it: the package imports
// the standard library only, and every other package may import it.
package hook
