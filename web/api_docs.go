package web

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hookkeeper/hookkeeper/templates"
)

// openAPI describes the API by hand; a test holds it against the routes and against what they answer.
//
//go:embed openapi.json
var openAPI []byte

// serversMember is how the address of the server stands in openapi.json.
const serversMember = `"servers": [{"url": "/"}]`

// apiDocument is the part of an OpenAPI document that the page of the API shows.
type apiDocument struct {
	Paths      map[string]apiPath `json:"paths"`
	Tags       []apiTag           `json:"tags"`
	Components struct {
		Parameters    map[string]apiParameter `json:"parameters"`
		RequestBodies map[string]apiContent   `json:"requestBodies"`
		Responses     map[string]apiContent   `json:"responses"`
		Schemas       map[string]apiSchema    `json:"schemas"`
	} `json:"components"`

	objects []apiSchema // that operations refer to, in the order in which they do
}

type apiTag struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// apiPath has an operation for each method of a path, and the parameters that they share.
type apiPath struct {
	Parameters []apiParameter `json:"parameters"`
	Get        *apiOperation  `json:"get"`
	Post       *apiOperation  `json:"post"`
	Patch      *apiOperation  `json:"patch"`
	Delete     *apiOperation  `json:"delete"`
}

func (p apiPath) operation(method string) *apiOperation {
	return map[string]*apiOperation{"GET": p.Get, "POST": p.Post, "PATCH": p.Patch, "DELETE": p.Delete}[method]
}

type apiOperation struct {
	OperationID string                `json:"operationId"`
	Tags        []string              `json:"tags"`
	Summary     string                `json:"summary"`
	Description string                `json:"description"`
	Parameters  []apiParameter        `json:"parameters"`
	RequestBody apiContent            `json:"requestBody"`
	Responses   map[string]apiContent `json:"responses"`
}

type apiParameter struct {
	Ref         string    `json:"$ref"`
	Name        string    `json:"name"`
	In          string    `json:"in"`
	Required    bool      `json:"required"`
	Description string    `json:"description"`
	Schema      apiSchema `json:"schema"`
	Example     string    `json:"example"`
}

// apiContent is a request body or a response.
type apiContent struct {
	Ref         string              `json:"$ref"`
	Description string              `json:"description"`
	Required    bool                `json:"required"`
	Content     map[string]apiMedia `json:"content"`
}

type apiMedia struct {
	Schema  apiSchema      `json:"schema"`
	Example jsontext.Value `json:"example"`
}

func (c apiContent) example() string {
	example := c.Content["application/json"].Example.Clone() // indented in place, and others refer to it
	if len(example) == 0 || example.Indent(jsontext.WithIndent("  ")) != nil {
		return ""
	}
	return string(example)
}

// newAPIReference returns what openapi.json says about the routes of the API, in the order of the routes.
func newAPIReference(routes []route) (ref templates.APIReference, err error) {
	var d apiDocument
	if err := json.Unmarshal(openAPI, &d); err != nil {
		return ref, fmt.Errorf("openapi.json: %w", err)
	}
	for _, tag := range d.Tags {
		ref.Groups = append(ref.Groups, templates.APIGroup{Name: tag.Name, Description: tag.Description})
	}
	for _, rt := range routes {
		method, path, _ := strings.Cut(rt.pattern, " ")
		op := d.Paths[path].operation(method)
		if op == nil {
			continue
		}
		for i := range ref.Groups {
			if g := &ref.Groups[i]; g.Name == op.Tags[0] {
				g.Operations = append(g.Operations, d.describe(method, path, op))
			}
		}
	}
	d.refer(d.schema(d.Components.Schemas["Problem"]))
	for _, o := range d.objects {
		ref.Objects = append(ref.Objects, templates.APIObject{Name: o.Title, Description: o.Description, Fields: d.fields(o, "")})
	}
	return ref, nil
}

// resolve returns what a reference into components points to, or the thing itself.
func resolve[T any](thing T, ref string, components map[string]T) T {
	if ref == "" {
		return thing
	}
	return components[ref[strings.LastIndexByte(ref, '/')+1:]]
}

func (d *apiDocument) describe(method, path string, op *apiOperation) templates.APIOperation {
	body := resolve(op.RequestBody, op.RequestBody.Ref, d.Components.RequestBodies)
	doc := templates.APIOperation{
		ID: op.OperationID, Method: method, Path: path, Summary: op.Summary, Description: op.Description,
		Request: body.example(), Fields: d.fields(d.schema(body.Content["application/json"].Schema), ""),
	}
	var parameters []apiParameter
	for _, p := range slices.Concat(d.Paths[path].Parameters, op.Parameters) {
		parameters = append(parameters, resolve(p, p.Ref, d.Components.Parameters))
	}
	for _, p := range parameters {
		doc.Parameters = append(doc.Parameters, templates.APIField{
			Name: p.Name, Type: p.Schema.typeNames(), In: p.In, Required: p.Required, Description: p.Description,
			Limits: p.Schema.limits(), Values: p.Schema.values(), Default: defaultOf(&p.Schema),
		})
	}
	for _, text := range slices.Sorted(maps.Keys(op.Responses)) {
		response := resolve(op.Responses[text], op.Responses[text].Ref, d.Components.Responses)
		st := templates.APIStatus{Description: response.Description}
		st.Status, _ = strconv.Atoi(text) // a test holds that they are numbers of three digits
		if media, ok := response.Content["application/json"]; ok {
			doc.Response = response.example()
			answer := d.schema(media.Schema)
			if st.Of, st.List = d.answersWith(answer); st.Of == "" {
				st.Fields = d.fields(answer, "")
			}
		}
		doc.Statuses = append(doc.Statuses, st)
	}
	doc.Curl, doc.CurlPath = curlLine(method, path, parameters, body.Content["application/json"].Example)
	return doc
}

// answersWith returns the name of what an answer is, or of what it is a list of, when that is described in a place of its own.
func (d *apiDocument) answersWith(answer apiSchema) (name string, list bool) {
	if answer.Title != "" {
		return d.refer(answer), false
	}
	for _, p := range answer.Properties {
		if p.name == "items" && p.schema.Items != nil {
			if item := d.schema(*p.schema.Items); item.Title != "" {
				return d.refer(item), true
			}
		}
	}
	return "", false
}

// curlLine returns a call of an operation with example values, but for the address of the server, which stands in front of the
// path.
func curlLine(method, path string, parameters []apiParameter, body jsontext.Value) (call, at string) {
	var query string
	for _, p := range parameters {
		switch {
		case p.In == "path":
			path = strings.Replace(path, "{"+p.Name+"}", p.Example, 1)
		case p.Required:
			query = "?" + p.Name + "=" + p.Example
		}
	}
	call = `curl -H "Authorization: Bearer $TOKEN"`
	if method != http.MethodGet && (method != http.MethodPost || len(body) == 0) { // curl finds out by itself
		call += " -X " + method
	}
	if len(body) > 0 {
		short := body.Clone()
		_ = short.Compact() // it was read already
		call += " -H 'Content-Type: application/json' \\\n  -d '" + strings.ReplaceAll(string(short), "'", `'\''`) + "'"
	}
	return call + " \\\n  ", path + query
}

// GET /api/openapi.json
func (s *Server) openAPIDocument(w http.ResponseWriter, r *http.Request) error {
	base, err := json.Marshal(s.Site.Base(r))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	servers := `"servers": [{"url": ` + string(base) + `}]`
	_, _ = w.Write(bytes.Replace(openAPI, []byte(serversMember), []byte(servers), 1)) // the reader has left: nobody to tell
	return nil
}

// GET /api/docs
func (s *Server) docsPage(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusOK, templates.APIDocs(s.page(r, "API"), s.Site.Base(r), s.reference))
}
