package web

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hookkeeper/hookkeeper/internal/auth"
	"github.com/hookkeeper/hookkeeper/internal/hook"
)

// apiTimeForm is RFC 3339 with microseconds, always in UTC.
const apiTimeForm = "2006-01-02T15:04:05.000000Z"

// admitToken finds out whose API token a request carries. A session cookie opens nothing here: a page of another origin
// could make a browser send it.
func (s *Server) admitToken(r *http.Request) (*http.Request, error) {
	if s.LocalUser != nil {
		return withVisitor(r, r.Context(), visitor{user: *s.LocalUser}), nil
	}
	if query := r.URL.Query(); query.Has("token") || query.Has("access_token") {
		return r, errTokenInQuery
	}
	text, ok := bearerToken(r.Header)
	if !ok {
		return r, errWrongToken
	}
	client := s.Site.Proxies.Client(r)
	if err := s.Limiter.Token(client); err != nil {
		return r, err
	}
	_, owner, err := s.Store.TokenByHash(r.Context(), auth.HashToken(text))
	if hook.Is(err, hook.NotFound) {
		s.Limiter.TokenFailed(client)
		return r, errWrongToken
	}
	if err != nil {
		return r, err
	}
	return withVisitor(r, r.Context(), visitor{user: owner}), nil
}

// bearerToken returns the token of RFC 6750 section 2.1. Anything but exactly one well-formed header is no token.
func bearerToken(h http.Header) (text string, ok bool) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	ok = strings.EqualFold(scheme, "Bearer") && text != "" && len(text) <= hook.MaxAPIToken
	return text, ok
}

// writeJSON answers with a document.
func writeJSON(w http.ResponseWriter, status int, document any) error {
	writeJSONAs(w, "application/json", status, document)
	return nil
}

// writeJSONAs writes a document as it is made: of what may be large in it there is never a second copy in memory.
func writeJSONAs(w http.ResponseWriter, mediaType string, status int, document any) {
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	out := inPace(w)
	err := json.MarshalWrite(out, document, jsontext.AllowInvalidUTF8(true)) // what is not UTF-8 becomes U+FFFD
	if err == nil {
		_, err = io.WriteString(out, "\n")
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the reader has left; should we be at fault, half a document must not look whole
	}
}

// readJSON reads the body into a document: one JSON value of known members, each there at most once. The types of the
// documents bound its depth. The texts of the errors are ours, because those of the library repeat the input.
func readJSON(r *http.Request, document any) error {
	dec := jsontext.NewDecoder(r.Body, jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false))
	if err := json.UnmarshalDecode(dec, document, json.RejectUnknownMembers(true)); err != nil {
		return jsonError(err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return hook.Errorf(hook.Malformed, "The body has to be one JSON document and nothing behind it.")
	}
	return nil
}

// jsonError says what is wrong with a document that could not be read.
func jsonError(err error) error {
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		switch {
		case errors.Is(e.Err, json.ErrUnknownName):
			return badField(hook.Malformed, e.JSONPointer.Parent(), unknownField(e))
		case e.JSONPointer == "":
			return hook.Errorf(hook.Malformed, "The body has to be a JSON object.")
		}
		return badField(hook.Invalid, e.JSONPointer, "has the wrong type, or is a number out of range")
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok && errors.Is(e.Err, jsontext.ErrDuplicateName) {
		return badField(hook.Malformed, e.JSONPointer, "is there more than once")
	}
	return &hook.Error{Kind: hook.Malformed, Message: "The body is not JSON in valid UTF-8.", Err: err}
}

// unknownField says that an object has a field that it does not take, and which ones it takes: what the field is called is not
// repeated, because it may be a secret in the wrong place.
func unknownField(e *json.SemanticError) string {
	text := "has a field that is not known, at byte " + strconv.FormatInt(e.ByteOffset, 10)
	names := memberNames(e.GoType)
	if near := nearest(e.JSONPointer.LastToken(), names); near != "" {
		return text + ": perhaps " + near + " was meant"
	}
	return text + ": it takes " + strings.Join(names, ", ")
}

// memberNames returns the names of the members of a document.
func memberNames(t reflect.Type) (names []string) {
	for field := range t.Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// nearest returns the name that somebody meant who wrote another, "" when it is like none: it differs in the case of letters, in
// signs between words, or is the beginning of one, or the other way round.
func nearest(written string, names []string) string {
	plain := func(s string) string {
		return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
	}
	const enough = 3 // letters that two names have to have in common
	for _, name := range names {
		a, b := plain(written), plain(name)
		if len(a) >= enough && (strings.HasPrefix(b, a) || len(b) >= enough && strings.HasPrefix(a, b)) {
			return name
		}
	}
	return ""
}

// wholeDocument is the place of a mistake that is in no field.
const wholeDocument = "$"

// badField returns an error about one place of a document. The pointer must hold names that we know only.
func badField(kind hook.Kind, at jsontext.Pointer, message string) error {
	var location strings.Builder
	for token := range at.Tokens() {
		switch _, err := strconv.Atoi(token); {
		case err == nil:
			location.WriteString("[" + token + "]")
		case location.Len() > 0:
			location.WriteString("." + token)
		default:
			location.WriteString(token)
		}
	}
	if location.Len() == 0 {
		location.WriteString(wholeDocument)
	}
	return &hook.Error{
		Kind:    kind,
		Message: "The JSON document cannot be used.",
		Fields:  []hook.FieldError{{Location: location.String(), Message: message}},
	}
}

// member is a member of a document that may be left out, which changes nothing, or null, which takes the default.
type member[T any] struct {
	set   bool
	null  bool
	value T
}

// UnmarshalJSONFrom notes that the member is there.
func (o *member[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	o.set = true
	if o.null = dec.PeekKind() == 'n'; o.null {
		return dec.SkipValue()
	}
	return json.UnmarshalDecode(dec, &o.value)
}

// apply writes the member to where it belongs.
func (o member[T]) apply(to *T, def T) {
	switch {
	case o.null:
		*to = def
	case o.set:
		*to = o.value
	}
}

// list is the shape of every list.
type list[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"`
}

// newList turns what was read, one more than the limit where there is more, into a page. The id of its last item is
// where the next page goes on.
func newList[R, T any](rows []R, limit int, item func(R) T, id func(R) string) list[T] {
	var l list[T]
	if len(rows) > limit {
		rows = rows[:limit]
		next := id(rows[limit-1])
		l.Next = &next
	}
	for _, row := range rows {
		l.Items = append(l.Items, item(row))
	}
	return l
}

// apiQuery reads the query of a request, which may have the named parameters only, each once.
func apiQuery(r *http.Request, known ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, hook.Errorf(hook.Malformed, "The query cannot be read.")
	}
	for name, values := range query {
		if !slices.Contains(known, name) {
			return nil, hook.Errorf(hook.Malformed, "The query has a parameter that is not known here. %s", takes(known))
		}
		if len(values) > 1 {
			return nil, hook.Errorf(hook.Malformed, "The query has the parameter %s more than once.", name)
		}
	}
	return query, nil
}

// takes says which parameters a route knows.
func takes(known []string) string {
	if len(known) == 0 {
		return "This address takes none."
	}
	return "This address takes " + strings.Join(known, ", ") + "."
}

// queryLimit returns how many items a page may have.
func queryLimit(query url.Values) (int, error) {
	if !query.Has("limit") {
		return hook.DefaultPageItems, nil
	}
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil || limit < 1 || limit > hook.MaxPageItems {
		return 0, hook.Errorf(hook.Malformed, "limit has to be a number between 1 and %d.", hook.MaxPageItems)
	}
	return limit, nil
}

// queryID returns the id in a parameter, 0 when it is not there.
func queryID(query url.Values, name, prefix string) (hook.ID, error) {
	if !query.Has(name) {
		return 0, nil
	}
	id, ok := hook.ParseID(prefix, query.Get(name))
	if !ok {
		return 0, hook.Errorf(hook.NotFound, "%s is not an id of a list: take it from next.", name)
	}
	return id, nil
}

// pathID returns the id in a path. What cannot be an id is an id that nothing has.
func pathID(r *http.Request, name, prefix string) (hook.ID, error) {
	id, ok := hook.ParseID(prefix, r.PathValue(name))
	if !ok {
		return 0, errNoPage
	}
	return id, nil
}

// apiTime returns a time as documents have it, nil for the zero time.
func apiTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format(apiTimeForm)
	return &text
}

// textJSON is text in the bytes that it is stored in.
type textJSON []byte

// MarshalJSONTo writes it as a string.
func (t textJSON) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteToken(jsontext.String(string(t)))
}

// textOrBase64 returns bytes as text where they are UTF-8, else as base64, which is how JSON has []byte. Exactly one of the
// two is not nil. Nothing is copied.
func textOrBase64(data []byte) (text *textJSON, encoded *[]byte) {
	if utf8.Valid(data) {
		return new(textJSON(data)), nil
	}
	return nil, &data
}

// base64IfNeeded returns text as base64 where it is not UTF-8: it is the only true form of what the encoder then writes
// with U+FFFD.
func base64IfNeeded(text string) *string {
	if utf8.ValidString(text) {
		return nil
	}
	return new(base64.StdEncoding.EncodeToString([]byte(text)))
}
