// Package snippet writes a captured request as a command that sends it again.
//
// A command is made to be pasted into a POSIX shell (sh, bash, zsh; at a prompt or in a script), and it is made of what
// strangers sent. So every piece of a request goes through one function, quote, that leaves the shell nothing to
// expand, and nothing that a terminal would act on is ever in a command: control characters, invisible ones and bytes
// that are no UTF-8 are written as escapes for printf.
package snippet
