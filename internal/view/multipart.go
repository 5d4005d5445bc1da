package view

import (
	"bytes"
	"errors"
	"mime"
	"net/textproto"
	"strings"
)

// Limits of a multipart view.
const (
	PartPreview = 4 << 10 // bytes of a part that are shown

	maxParts       = 100
	maxPartHeaders = 16 << 10 // bytes of the headers of one part
)

// Part is one part of a multipart body. Its strings are raw: see Inline. FileName may be a path or worse, and is never
// more than text.
type Part struct {
	Name        string
	FileName    string
	ContentType string
	Content     []byte // without its headers
	Binary      bool   // better not read as text
	Problem     string // what is wrong with the part, in words; usually ""
}

// MultipartView is the beginning of a multipart body.
type MultipartView struct {
	Parts   []Part
	More    bool   // there are more parts than the 100 that are shown
	Problem string // what is wrong with the body, in words; usually ""
}

// Multipart splits body at the boundary that contentType names (RFC 2046, section 5.1). What stands in front of the
// first boundary and behind the last one is not shown, as no receiver reads it.
func Multipart(contentType string, body []byte) MultipartView {
	boundary, err := boundaryOf(contentType)
	if err != nil {
		return MultipartView{Problem: err.Error()}
	}
	_, rest, last, found := splitPart(body, boundary)
	if !found {
		return MultipartView{Problem: "the boundary that the Content-Type names is not in the body"}
	}
	var v MultipartView
	for found && !last {
		if len(v.Parts) == maxParts {
			v.More = true
			break
		}
		var content []byte
		content, rest, last, found = splitPart(rest, boundary)
		if found || len(content) > 0 {
			v.Parts = append(v.Parts, parsePart(content))
		}
	}
	if !found {
		v.Problem = "the last part is cut off: the closing boundary is missing"
	}
	return v
}

func boundaryOf(contentType string) ([]byte, error) {
	_, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return nil, errors.New("the Content-Type cannot be read, so the boundary is not known")
	case params["boundary"] == "":
		return nil, errors.New("the Content-Type names no boundary")
	}
	return []byte("--" + params["boundary"]), nil
}

// splitPart finds the first line of data that is the boundary. It returns what stands in front of it, without the line
// break that belongs to the boundary, and what follows it; last is set when it was the closing one. When there is none
// it returns all of data as content.
func splitPart(data, boundary []byte) (content, rest []byte, last, found bool) {
	for from := 0; ; {
		i := bytes.Index(data[from:], boundary)
		if i < 0 {
			return data, nil, false, false
		}
		start := from + i
		from = start + len(boundary)
		if start > 0 && data[start-1] != '\n' {
			continue
		}
		rest, last = bytes.CutPrefix(data[from:], []byte("--"))
		rest = bytes.TrimLeft(rest, " \t") // section 5.1.1: padding that gateways add
		if next, ok := cutLineBreak(rest); ok || last && len(rest) == 0 {
			return trimLineBreak(data[:start]), next, last, true
		}
	}
}

// cutLineBreak returns b without the CRLF or LF that it starts with, and whether there was one.
func cutLineBreak(b []byte) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(bytes.TrimPrefix(b, []byte("\r")), []byte("\n"))
	if !ok {
		return b, false
	}
	return rest, true
}

// trimLineBreak returns b without the CRLF or LF that it ends with.
func trimLineBreak(b []byte) []byte {
	line, ok := bytes.CutSuffix(b, []byte("\n"))
	if !ok {
		return b
	}
	return bytes.TrimSuffix(line, []byte("\r"))
}

func parsePart(part []byte) Part {
	var p Part
	headers, content, ok := cutHeaders(part)
	if !ok {
		p.Problem = "no empty line ends its headers: all of it is shown as content"
	}
	p.readHeaders(headers)
	p.Content = content
	p.Binary = !looksLikeText(content, isTextType(mediaType(p.ContentType)))
	return p
}

// cutHeaders divides part at its first empty line. When there is none within 16 KiB, all of it is content.
func cutHeaders(part []byte) (headers string, content []byte, ok bool) {
	if content, ok = cutLineBreak(part); ok || len(part) == 0 {
		return "", content, true // no headers at all
	}
	head := part[:min(len(part), maxPartHeaders)]
	for at := 0; ; {
		i := bytes.IndexByte(head[at:], '\n')
		if i < 0 {
			return "", part, false
		}
		at += i + 1
		if content, ok = cutLineBreak(part[at:]); ok {
			return string(head[:at]), content, true
		}
	}
}

// readHeaders takes what is shown out of the headers of a part. Of one that is there twice the first counts, as for receivers.
func (p *Part) readHeaders(headers string) {
	read := map[string]func(string){"Content-Disposition": p.readDisposition, "Content-Type": func(v string) { p.ContentType = v }}
	seen := map[string]bool{}
	for line := range strings.Lines(unfold.Replace(headers)) {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			p.Problem = "a line of its headers has no colon"
			continue
		}
		name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))
		switch {
		case read[name] == nil:
		case seen[name]:
			p.Problem = "it has more than one " + name + ": the first counts"
		default:
			read[name](strings.TrimSpace(value))
			seen[name] = true
		}
	}
}

// unfold joins the lines of a header that was written on several (RFC 5322, section 2.2.3).
var unfold = strings.NewReplacer("\r\n ", " ", "\r\n\t", " ", "\n ", " ", "\n\t", " ")

// readDisposition takes the names out of a Content-Disposition header (RFC 7578, section 4.2).
func (p *Part) readDisposition(value string) {
	_, params, err := mime.ParseMediaType(value)
	if err != nil {
		p.Problem = "its Content-Disposition cannot be read"
		return
	}
	p.Name, p.FileName = params["name"], params["filename"]
}
