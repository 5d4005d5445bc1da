package web

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/templates"
)

// urlSettingsPage: GET /urls/{id}/settings
func (s *Server) urlSettingsPage(w http.ResponseWriter, r *http.Request) error {
	page, u, err := s.ownURL(r, "Settings")
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, templates.URLSettings(page, u, s.urlForm(u.CaptureURL)))
}

// saveURLSettings: POST /urls/{id}/settings
func (s *Server) saveURLSettings(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id", hook.CaptureURLPrefix)
	if err != nil {
		return err
	}
	_, err = s.updateCaptureURL(r.Context(), actor(r), id, func(u *hook.CaptureURL) error {
		unread := readURLForm(r.PostForm, u)
		return joinInvalid(unread, s.validate(u))
	})
	if err == nil {
		s.flash(r, "Saved.")
		return s.redirect(w, r, urlPath(id))
	}
	status, fields, err := s.refuse(w, r, err)
	if err != nil {
		return err
	}
	page, u, err := s.ownURL(r, "Settings")
	if err != nil {
		return err
	}
	form := typedURLForm(r.PostForm, s.urlForm(u.CaptureURL))
	form.Errors = typedErrors(fields)
	return s.render(w, r, status, templates.URLSettings(page, u, form))
}

// urlForm returns the settings of a capture URL as texts of a form.
func (s *Server) urlForm(u hook.CaptureURL) templates.URLForm {
	form := templates.URLForm{
		Name:         u.Name,
		CORS:         u.CORS,
		Status:       strconv.Itoa(u.Response.Status),
		DelayMS:      strconv.FormatInt(u.Response.Delay.Milliseconds(), 10),
		KeepRequests: numberText(u.Keep.Requests),
		KeepDays:     numberText(u.Keep.Days),
		Defaults:     s.Keep,
		BodyIsBinary: !typable(u.Response.Body),
	}
	if u.Keep.Bytes != 0 {
		form.KeepMiB = strconv.FormatFloat(float64(u.Keep.Bytes)/(1<<20), 'f', -1, 64)
	}
	if u.Rate != 0 {
		form.Rate = strconv.FormatFloat(u.Rate, 'f', -1, 64)
	}
	var lines []string
	for _, h := range u.Response.Headers {
		lines = append(lines, h.Name+": "+h.Value)
	}
	form.Headers = strings.Join(lines, "\n")
	if !form.BodyIsBinary {
		form.Body = string(u.Response.Body)
	}
	return form
}

// typedURLForm returns the form with what was typed.
func typedURLForm(typed url.Values, form templates.URLForm) templates.URLForm {
	form.Name = typed.Get("name")
	form.CORS = typed.Get("cors") == "true"
	form.Status, form.DelayMS = typed.Get("status"), typed.Get("delay_ms")
	form.Headers, form.Body = typed.Get("headers"), typed.Get("body")
	form.KeepRequests, form.KeepDays, form.KeepMiB = typed.Get("keep_requests"), typed.Get("keep_days"), typed.Get("keep_mib")
	form.Rate = typed.Get("rate")
	return form
}

// readURLForm sets what was typed; the error names the fields that cannot be read.
func readURLForm(typed url.Values, u *hook.CaptureURL) error {
	u.Name = typed.Get("name")
	u.CORS = typed.Get("cors") == "true"
	u.Response.Status = int(readNumber(typed.Get("status")))
	u.Response.Delay = time.Duration(readNumber(typed.Get("delay_ms"))) * time.Millisecond
	u.Keep.Requests = readLimit(typed.Get("keep_requests"))
	u.Keep.Days = readLimit(typed.Get("keep_days"))
	u.Keep.Bytes = readMiB(typed.Get("keep_mib"))
	u.Rate = readDecimal(typed.Get("rate"))
	var err error
	u.Response.Headers, err = readHeaderLines(typed.Get("headers"), "response.headers")
	if body := typedText(typed.Get("body")); body != "" || typable(u.Response.Body) {
		u.Response.Body = []byte(body)
	}
	return err
}

// unusable is read from a field with something else in it than a number that could be meant. It is in no range, so that
// Validate says of the field what is allowed.
const unusable = -1

// readNumber reads a whole number, 0 from an empty field. What is too large for us is as large as can be.
func readNumber(text string) int64 {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return unusable
	}
	return int64(min(n, math.MaxInt32))
}

// readLimit reads a whole number where an empty field is the default. A 0 that was typed does not ask for it.
func readLimit(text string) int64 {
	n := readNumber(text)
	if n == 0 && strings.TrimSpace(text) != "" {
		return unusable
	}
	return n
}

// readDecimal reads a number that may have a fraction, 0 from an empty field. As in readLimit, a typed 0 is unusable.
func readDecimal(text string) float64 {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.Trim(text, "0123456789.") != "" { // no exponents, no "Inf" or "NaN"
		return unusable
	}
	return cmp.Or(n, unusable)
}

// readMiB reads a number of MiB, which may have a fraction, as bytes; 0 from an empty field.
func readMiB(text string) int64 {
	n := readDecimal(text)
	if n <= 0 {
		return int64(n)
	}
	return max(1, int64(min(n, math.MaxInt32)*(1<<20))) // never the default
}

// typedErrors says what is wrong with fields in the units and words of our forms, where those of the API are others.
func typedErrors(fields templates.FieldErrors) templates.FieldErrors {
	for i, f := range fields {
		switch f.Location {
		case "keep.bytes":
			fields[i].Message = fmt.Sprintf("must be between %d and %d MiB, or empty for the default", hook.MinKeepBytes>>20, hook.MaxKeepBytes>>20)
		case "method": // which the form leaves empty where the API says original
			fields[i].Message = "must be an HTTP method other than CONNECT, or empty: as captured"
		case "timeout_ms":
			fields[i].Message = fmt.Sprintf("must be between %g and %g seconds", hook.MinDeliveryTimeout.Seconds(), hook.MaxDeliveryTimeout.Seconds())
		}
	}
	return fields
}

// readHeaderLines reads one "Name: value" a line. The error has the index of each line without a colon, of those that are not
// empty: the form says which it was.
func readHeaderLines(text, location string) ([]hook.Header, error) {
	var headers []hook.Header
	var errs []error
	for line := range strings.SplitSeq(typedText(text), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if !found {
			errs = append(errs, fieldError(location+"["+strconv.Itoa(len(headers))+"]", "has no colon: write it as Name: value"))
		}
		headers = append(headers, hook.Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	}
	if len(errs) > 0 {
		return nil, joinInvalid(errs...)
	}
	return headers, nil
}

// typedText returns the text of a text field with line feeds: browsers send CR LF (HTML standard, form submission).
func typedText(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// typable reports whether a text field gives back the bytes that it was filled with.
func typable(body []byte) bool {
	return utf8.Valid(body) && !strings.ContainsAny(string(body), "\r\x00")
}

// numberText returns a number, "" for 0.
func numberText(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
