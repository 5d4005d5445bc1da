package web

import (
	"cmp"
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
	fields, err := fieldErrors(err)
	if err != nil {
		return err
	}
	page, u, err := s.ownURL(r, "Settings")
	if err != nil {
		return err
	}
	form := typedURLForm(r.PostForm, s.urlForm(u.CaptureURL))
	form.Errors = fields
	return s.render(w, r, http.StatusUnprocessableEntity, templates.URLSettings(page, u, form))
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
	var errs []error
	number := func(field, location string) int64 {
		n, err := readNumber(typed.Get(field))
		if err != nil {
			errs = append(errs, fieldError(location, "is not a whole number"))
		}
		return n
	}
	u.Response.Status = int(number("status", "response.status"))
	u.Response.Delay = time.Duration(min(number("delay_ms", "response.delay_ms"), math.MaxInt32)) * time.Millisecond
	u.Keep.Requests = number("keep_requests", "keep.requests")
	u.Keep.Days = number("keep_days", "keep.days")
	var err error
	if u.Keep.Bytes, err = readMiB(typed.Get("keep_mib")); err != nil {
		errs = append(errs, fieldError("keep.bytes", "is not a number"))
	}
	if u.Rate, err = readRate(typed.Get("rate")); err != nil {
		errs = append(errs, fieldError("rate_per_second", "is not a number"))
	}
	if u.Response.Headers, err = readHeaderLines(typed.Get("headers")); err != nil {
		errs = append(errs, err)
	}
	if body := typedText(typed.Get("body")); body != "" || typable(u.Response.Body) {
		u.Response.Body = []byte(body)
	}
	return joinInvalid(errs...)
}

// readNumber reads a whole number, 0 from an empty field. What is too large for us is as large as can be.
func readNumber(text string) (int64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, err
	}
	return int64(min(n, math.MaxInt32)), nil
}

// readMiB reads a number of MiB, which may have a fraction, as bytes; 0 from an empty field.
func readMiB(text string) (int64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, nil
	}
	if strings.Trim(text, "0123456789.") != "" { // no exponents, no "Inf"
		return 0, strconv.ErrSyntax
	}
	mib, err := strconv.ParseFloat(text, 64)
	return max(1, int64(min(mib, math.MaxInt32)*(1<<20))), err // an explicit 0 is too small, not the default
}

// readRate reads a number a second, 0 from an empty field.
func readRate(text string) (float64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, nil
	}
	if strings.Trim(text, "0123456789.") != "" { // no exponents, no "NaN"
		return 0, strconv.ErrSyntax
	}
	rate, err := strconv.ParseFloat(text, 64)
	return cmp.Or(rate, -1), err // an explicit 0 is a mistake, not "no limit"
}

// readHeaderLines reads one "Name: value" a line.
func readHeaderLines(text string) ([]hook.Header, error) {
	var headers []hook.Header
	for i, line := range strings.Split(typedText(text), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if !found {
			return nil, fieldError("response.headers", "line "+strconv.Itoa(i+1)+" has no colon: Name: value")
		}
		headers = append(headers, hook.Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
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
