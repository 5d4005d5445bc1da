// Package view turns captured bytes into what people read: text, JSON, form fields, multipart parts, a hex dump.
//
// A view is a presentation and nothing else. It is made when somebody looks, never when a request arrives; it never
// changes what is stored, and it never guesses: what it cannot read it tells in words, so that a page can fall back to
// text or hex. Senders are strangers, so every view is bounded in what it reads, in what it gives back and in time.
//
// Strings in views are raw: they hold what the sender sent, control characters included. Whatever shows one passes it
// through Inline (one line) or Text (many lines), which make visible what would otherwise be invisible, reorder the
// page or hide other characters. Escaping for HTML comes after that and is the template's.
package view
