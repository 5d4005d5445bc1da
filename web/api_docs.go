package web

import (
	"bytes"
	_ "embed"
	"fmt"
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
	Components struct {
		Parameters    map[string]apiParameter `json:"parameters"`
		RequestBodies map[string]apiContent   `json:"requestBodies"`
		Responses     map[string]apiContent   `json:"responses"`
	} `json:"components"`
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
	Ref         string `json:"$ref"`
	Name        string `json:"name"`
	In          string `json:"in"`
	Required    bool   `json:"required"`
	Description string `json:"description"`
	Schema      struct {
		Type string `json:"type"`
	} `json:"schema"`
}

// apiContent is a request body or a response.
type apiContent struct {
	Ref         string `json:"$ref"`
	Description string `json:"description"`
	Content     map[string]struct {
		Example jsontext.Value `json:"example"`
	} `json:"content"`
}

func (c apiContent) example() string {
	example := c.Content["application/json"].Example.Clone() // indented in place, and others refer to it
	if len(example) == 0 || example.Indent(jsontext.WithIndent("  ")) != nil {
		return ""
	}
	return string(example)
}

// apiOperations returns what openapi.json says about the routes of the API, in the order of the routes.
func apiOperations(routes []route) (all []templates.APIOperation, err error) {
	var d apiDocument
	if err := json.Unmarshal(openAPI, &d); err != nil {
		return nil, fmt.Errorf("openapi.json: %w", err)
	}
	for _, rt := range routes {
		method, path, _ := strings.Cut(rt.pattern, " ")
		if op := d.Paths[path].operation(method); op != nil {
			all = append(all, d.describe(method, path, op))
		}
	}
	return all, nil
}

// resolve returns what a reference into components points to, or the thing itself.
func resolve[T any](thing T, ref string, components map[string]T) T {
	if ref == "" {
		return thing
	}
	return components[ref[strings.LastIndexByte(ref, '/')+1:]]
}

func (d *apiDocument) describe(method, path string, op *apiOperation) templates.APIOperation {
	doc := templates.APIOperation{
		ID: op.OperationID, Group: op.Tags[0], Method: method, Path: path, Summary: op.Summary, Description: op.Description,
		Request: resolve(op.RequestBody, op.RequestBody.Ref, d.Components.RequestBodies).example(),
	}
	for _, p := range slices.Concat(d.Paths[path].Parameters, op.Parameters) {
		p = resolve(p, p.Ref, d.Components.Parameters)
		doc.Parameters = append(doc.Parameters, templates.APIParameter{
			Name: p.Name, In: p.In, Type: p.Schema.Type, Required: p.Required, Description: p.Description,
		})
	}
	for text, response := range op.Responses {
		response = resolve(response, response.Ref, d.Components.Responses)
		status, _ := strconv.Atoi(text) // a test holds that they are numbers
		doc.Statuses = append(doc.Statuses, templates.APIStatus{Status: status, Description: response.Description})
		if status < 300 {
			doc.Response = response.example()
		}
	}
	slices.SortFunc(doc.Statuses, func(a, b templates.APIStatus) int { return a.Status - b.Status })
	return doc
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
	return s.render(w, r, http.StatusOK, templates.APIDocs(s.page(r, "API"), s.operations))
}
