// Package snippet writes what people take elsewhere and paste: a captured request as a command that sends it again, and
// the function with which a receiver verifies deliveries.
//
// A command is made to be pasted into a POSIX shell (sh, bash, zsh; at a prompt or in a script), and it is made of what
// strangers sent. So every piece of a request goes through one function, quote, that leaves the shell nothing to
// expand, and nothing that a terminal would act on is ever in a command: control characters, invisible ones and bytes
// that are no UTF-8 are written as escapes for printf.
//
// The functions are fixed texts, in verify/: no secret and nothing of a request is ever in them.
package snippet
