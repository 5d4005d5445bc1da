package web

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/hookkeeper/hookkeeper/internal/hook"
	"github.com/hookkeeper/hookkeeper/internal/htmltest"
	"github.com/hookkeeper/hookkeeper/internal/storetest"
)

// schemas reads what openapi.json says about documents.
type schemas struct {
	t   *testing.T
	doc map[string]any
}

func readSchemas(t *testing.T) schemas {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	return schemas{t, doc}
}

// at follows a JSON pointer with its # in front.
func (s schemas) at(ref string) map[string]any {
	s.t.Helper()
	node := s.doc
	for _, name := range strings.Split(ref, "/")[1:] {
		next, ok := node[name].(map[string]any)
		if !ok {
			s.t.Fatalf("openapi.json has no %s", ref)
		}
		node = next
	}
	return node
}

// inputExample returns the example of a request body.
func (s schemas) inputExample(name string) any {
	content := s.at("#/components/requestBodies/" + name)["content"].(map[string]any)
	return content["application/json"].(map[string]any)["example"]
}

// resolve follows $ref.
func (s schemas) resolve(node map[string]any) map[string]any {
	for {
		ref, ok := node["$ref"].(string)
		if !ok {
			return node
		}
		node = s.at(ref)
	}
}

// properties returns the properties of an object's schema and which are required, those of allOf included.
func (s schemas) properties(schema map[string]any) (props map[string]any, required []string) {
	props = map[string]any{}
	all, _ := schema["allOf"].([]any)
	for _, part := range all {
		more, needed := s.properties(s.resolve(part.(map[string]any)))
		maps.Copy(props, more)
		required = append(required, needed...)
	}
	own, _ := schema["properties"].(map[string]any)
	maps.Copy(props, own)
	needed, _ := schema["required"].([]any)
	for _, name := range needed {
		required = append(required, name.(string))
	}
	return props, required
}

// check compares a document with a schema: types, and exactly the documented fields, all of them there.
func (s schemas) check(where string, schema map[string]any, value any) {
	s.t.Helper()
	schema = s.resolve(schema)
	switch v := value.(type) {
	case map[string]any:
		if len(schema) == 1 && schema["type"] == "object" {
			return
		}
		props, required := s.properties(schema)
		names := slices.Sorted(maps.Keys(props))
		if diff := cmp.Diff(names, slices.Sorted(maps.Keys(v))); diff != "" {
			s.t.Errorf("%s: fields (-documented +there):\n%s", where, diff)
		}
		slices.Sort(required)
		if diff := cmp.Diff(names, required); diff != "" {
			s.t.Errorf("%s: not every field is required:\n%s", where, diff)
		}
		for name, prop := range props {
			s.check(where+"."+name, prop.(map[string]any), v[name])
		}
	case []any:
		s.checkType(where, schema, "array")
		for i, item := range v {
			s.check(fmt.Sprintf("%s[%d]", where, i), schema["items"].(map[string]any), item)
		}
	case string:
		s.checkType(where, schema, "string")
		if schema["format"] == "date-time" && !apiTimePattern.MatchString(v) {
			s.t.Errorf("%s: time %q", where, v)
		}
	case bool:
		s.checkType(where, schema, "boolean")
	case nil:
		s.checkType(where, schema, "null")
	default:
		kind := "integer"
		if types, _ := schema["type"].([]any); slices.Contains(types, any("number")) {
			kind = "number"
		}
		s.checkType(where, schema, kind)
	}
}

var apiTimePattern = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`)

func (s schemas) checkType(where string, schema map[string]any, got string) {
	s.t.Helper()
	types, ok := schema["type"].([]any)
	if !ok {
		types = []any{schema["type"]}
	}
	if !slices.Contains(types, any(got)) {
		s.t.Errorf("%s: is %s, documented as %v", where, got, types)
	}
}

// documentedRoutes has a pattern for each operation of openapi.json.
var documentedRoutes = sync.OnceValues(func() (d apiDocument, routes *http.ServeMux) {
	if err := jsonv2.Unmarshal(openAPI, &d); err != nil {
		panic(err)
	}
	routes = http.NewServeMux()
	for path, item := range d.Paths {
		for _, method := range []string{"GET", "POST", "PATCH", "DELETE"} {
			if item.operation(method) != nil {
				routes.Handle(method+" "+path, http.NotFoundHandler())
			}
		}
	}
	return d, routes
})

// wantDocumented fails when openapi.json does not say that an operation may be answered with a status. Of what is no operation it says
// nothing.
func wantDocumented(t *testing.T, method, target string, status int) {
	t.Helper()
	d, routes := documentedRoutes()
	req, err := http.NewRequest(method, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	_, pattern := routes.Handler(req)
	method, path, _ := strings.Cut(pattern, " ")
	op := d.Paths[path].operation(method)
	if op == nil {
		return
	}
	if _, ok := op.Responses[strconv.Itoa(status)]; !ok {
		t.Errorf("openapi.json does not say that %s may be answered with %d", pattern, status)
	}
}

// The document has every route of the API, and the API every operation of the document.
func TestOpenAPIRoutes(t *testing.T) {
	s := readSchemas(t)
	var documented []string
	for path, item := range s.at("#/paths") {
		for method, operation := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			documented = append(documented, strings.ToUpper(method)+" "+path)
			for status, response := range operation.(map[string]any)["responses"].(map[string]any) {
				if !regexp.MustCompile(`^[2-5]\d\d$`).MatchString(status) || s.resolve(response.(map[string]any))["description"] == nil {
					t.Errorf("%s %s: response %s", method, path, status)
				}
			}
		}
	}
	var routes []string
	for _, rt := range newSite(t).web.routes {
		if strings.Contains(rt.pattern, " /api/v1/") {
			routes = append(routes, rt.pattern)
		}
	}
	slices.Sort(documented)
	slices.Sort(routes)
	if diff := cmp.Diff(routes, documented); diff != "" {
		t.Errorf("routes (-routes.go +openapi.json):\n%s", diff)
	}
}

// What the API answers has the documented fields, and so have the examples.
func TestOpenAPIResponses(t *testing.T) {
	s := newSite(t)
	docs := readSchemas(t)
	u := s.user(false)
	text := s.token(u)
	captureURL := storetest.CaptureURLOf(t, s.store, u)
	request := s.request(captureURL.ID, "\xff")
	id := captureURL.ID.Text(hook.CaptureURLPrefix)
	sub := storetest.Subscription(t, s.store, captureURL.ID)
	subID := sub.ID.Text(hook.SubscriptionPrefix)
	dlvID := s.attempted(storetest.Routed(captureURL.ID, 10, sub.ID), "\xff").ID.Text(hook.DeliveryPrefix)
	s.web.Try = func(context.Context, hook.Subscription, *hook.Request) hook.Attempt {
		return hook.Attempt{Error: "refused"}
	}
	for _, test := range []struct{ method, path, body, schema string }{
		{"POST", "/api/v1/capture-urls", `{"name":"a","keep":{"days":7},"response":{"headers":[{"name":"X-A","value":"b"}]}}`, "CaptureURL"},
		{"GET", "/api/v1/capture-urls", "", "CaptureURLList"},
		{"GET", "/api/v1/capture-urls/" + id, "", "CaptureURL"},
		{"PATCH", "/api/v1/capture-urls/" + id, `{"paused":true}`, "CaptureURL"},
		{"GET", "/api/v1/capture-urls/" + id + "/requests", "", "RequestList"},
		{"GET", "/api/v1/capture-urls/" + id + "/requests/latest", "", "Request"},
		{"GET", "/api/v1/requests/" + request.ID.Text(hook.RequestPrefix), "", "Request"},
		{"POST", "/api/v1/capture-urls/" + id + "/subscriptions", `{"name":"a","target_url":"https://a.example","signing":{"scheme":"standard-v1a"}}`, "Subscription"},
		{"GET", "/api/v1/subscriptions", "", "SubscriptionList"},
		{"GET", "/api/v1/subscriptions/" + subID, "", "Subscription"},
		{"PATCH", "/api/v1/subscriptions/" + subID, `{"filter":{"any":[{"field":"method","op":"is","value":"POST"}],"jq":".a"}}`, "Subscription"},
		{"POST", "/api/v1/subscriptions/" + subID + "/rotate-secret", "", "Subscription"},
		{"POST", "/api/v1/subscriptions/" + subID + "/test", "", "Attempt"},
		{"POST", "/api/v1/subscriptions/" + subID + "/dry-run", "", "DryRun"},
		{"POST", "/api/v1/subscriptions/" + subID + "/discard", "", "Discarded"},
		{"POST", "/api/v1/subscriptions/" + subID + "/replays", `{"dry_run":true}`, "ReplayCount"},
		{"POST", "/api/v1/subscriptions/" + subID + "/replays", `{"rate_per_second":0.5}`, "Replay"},
		{"GET", "/api/v1/subscriptions/" + subID + "/replays", "", "ReplayList"},
		{"GET", "/api/v1/deliveries", "", "DeliveryList"},
		{"GET", "/api/v1/deliveries/" + dlvID, "", "Delivery"},
		{"POST", "/api/v1/deliveries/" + dlvID + "/resend", "", "Delivery"},
		{"POST", "/api/v1/requests/" + request.ID.Text(hook.RequestPrefix) + "/resend", `{"target_url":"https://a.example"}`, "Delivery"},
		{"GET", "/api/v1/requests/" + request.ID.Text(hook.RequestPrefix), "", "Request"},
		{"PATCH", "/api/v1/capture-urls/" + id, `{"name":""}`, "Problem"},
		{"GET", "/api/v1/requests/x", "", "Problem"},
	} {
		a := s.api(text, test.method, test.path, test.body)
		docs.check(test.method+" "+test.path, docs.at("#/components/schemas/"+test.schema), any(a.decode(t)))
	}
	for name, response := range docs.at("#/components/responses") {
		content, _ := response.(map[string]any)["content"].(map[string]any)
		for _, media := range content {
			if example, ok := media.(map[string]any)["example"]; ok {
				docs.check("example of "+name, media.(map[string]any)["schema"].(map[string]any), example)
			}
		}
	}
}

// What the document says an input may have is what the API takes, and its examples are taken.
func TestOpenAPIInputs(t *testing.T) {
	s := newSite(t)
	docs := readSchemas(t)
	text := s.token(s.user(false))
	whole := map[string]any{"slug": nil}
	for name := range docs.at("#/components/schemas/CaptureURLInput/properties") {
		whole[name] = nil
	}
	for name, schema := range map[string]string{"keep": "KeepInput", "response": "ResponseInput"} {
		part := map[string]any{}
		for field := range docs.at("#/components/schemas/" + schema + "/properties") {
			part[field] = nil
		}
		whole[name] = part
	}
	whole["name"] = "a"
	body, _ := json.Marshal(whole)
	wantStatus(t, string(body), s.api(text, "POST", "/api/v1/capture-urls", string(body)), 201)
	example, _ := json.Marshal(docs.inputExample("NewCaptureURL"))
	a := s.api(text, "POST", "/api/v1/capture-urls", string(example))
	wantStatus(t, string(example), a, 201)
	whole = map[string]any{}
	for name := range docs.at("#/components/schemas/SubscriptionInput/properties") {
		whole[name] = nil
	}
	whole["name"], whole["target_url"] = "a", "https://a.example"
	body, _ = json.Marshal(whole)
	example, _ = json.Marshal(docs.inputExample("NewSubscription"))
	for _, input := range []string{string(body), string(example)} {
		wantStatus(t, input, s.api(text, "POST", "/api/v1/capture-urls/"+a.decode(t)["id"].(string)+"/subscriptions", input), 201)
	}
}

func TestOpenAPIServed(t *testing.T) {
	s := newSite(t, publicURL("https://hooks.example/team"))
	a := s.browser().get("/team/api/openapi.json", "Host", "hooks.example")
	wantStatus(t, "openapi.json", a, 200)
	if diff := cmp.Diff([]any{map[string]any{"url": "https://hooks.example/team"}}, a.decode(t)["servers"]); diff != "" {
		t.Errorf("servers:\n%s", diff)
	}
	if strings.Count(string(openAPI), serversMember) != 1 {
		t.Error("openapi.json does not say where the server's address goes")
	}
	wantStatus(t, "docs", s.browser().get("/team/api/docs", "Host", "hooks.example"), 200)
}

// Every operation is on the page, with its parameters, fields and examples, in groups of different names.
func TestAPIReference(t *testing.T) {
	s := newSite(t)
	takesBody := map[string]bool{}
	for _, rt := range s.web.routes {
		takesBody[rt.pattern] = rt.body != noBody
	}
	seen, groups := 0, map[string]bool{}
	for _, g := range s.web.reference.Groups {
		if groups[g.Name] || g.Description == "" || len(g.Operations) == 0 {
			t.Errorf("the group %q", g.Name)
		}
		groups[g.Name] = true
		for _, op := range g.Operations {
			seen++
			body := takesBody[op.Method+" "+op.Path]
			if op.ID == "" || op.Summary == "" || len(op.Statuses) < 3 || body != (op.Request != "") || body != (len(op.Fields) > 0) {
				t.Errorf("%+v", op)
			}
			if op.Method == http.MethodGet && !strings.HasSuffix(op.Path, "/body") && (op.Response == "" || op.Statuses[0].Of == "") {
				t.Errorf("%s %s has no example, or does not say what it answers with", op.Method, op.Path)
			}
			if strings.Contains(op.Path, "{id}") && (len(op.Parameters) == 0 || op.Parameters[0].Name != "id" || op.Parameters[0].Description == "") {
				t.Errorf("%s %s: parameters %+v", op.Method, op.Path, op.Parameters)
			}
			if strings.ContainsAny(op.CurlPath, "{}") {
				t.Errorf("%s %s: a command with %s", op.Method, op.Path, op.CurlPath)
			}
		}
	}
	if seen != 30 {
		t.Errorf("%d operations", seen)
	}
	objects := map[string]bool{}
	for _, o := range s.web.reference.Objects {
		objects[o.Name] = true
	}
	for _, name := range []string{"Capture URL", "Request", "Subscription", "Filter", "Condition", "Delivery", "Attempt", "Replay", "Error"} {
		if !objects[name] {
			t.Errorf("%s is not described", name)
		}
	}
}

// The page of the API says what people looked for in vain, and stays small enough to be read on a telephone.
func TestAPIDocsPage(t *testing.T) {
	a := newSite(t).browser().get("/api/docs")
	if len(a.body) > 400<<10 {
		t.Errorf("%d bytes", len(a.body))
	}
	page := a.parse(t)
	rows := map[string]string{}
	for _, section := range []string{"#createSubscription", "#deleteAllRequests", "#listRequests", "#object-condition"} {
		for _, row := range page.All(section + " .fields tbody tr") {
			rows[section+" "+strings.Fields(row.Text())[0]] = row.Text()
		}
	}
	for row, words := range map[string][]string{
		"#createSubscription name":           {"required", "1 to 200 characters"},
		"#createSubscription signing.scheme": {"standard-v1a", "Default"},
		"#createSubscription max_attempts":   {"1 to 100", "10"},
		"#createSubscription backoff":        {"list of numbers", "Each 1 to 604,800", "at most 99 entries"},
		"#createSubscription filter":         {"Filter"},
		"#object-condition op":               {"is_not", "glob"},
		"#listRequests limit":                {"1 to 200", "50"},
		"#deleteAllRequests all":             {"Only", "true", "required"},
		"#deleteAllRequests unfinished":      {"cancel"},
	} {
		for _, word := range words {
			if !strings.Contains(strings.ToLower(rows[row]), strings.ToLower(word)) {
				t.Errorf("%s: %q without %q", row, rows[row], word)
			}
		}
	}
}

// What the page says of an operation is true of that operation.
func TestAPIDocsAreOfTheirOperation(t *testing.T) {
	page := newSite(t).browser().get("/api/docs").parse(t)
	for selector, words := range map[string]string{
		"#dryRun .statuses":       "matched",
		"#createReplay .statuses": "count",
	} {
		if text := page.One(selector).Text(); !strings.Contains(text, words) {
			t.Errorf("%s is without %q: %s", selector, words, text)
		}
	}
	for selector, words := range map[string]string{
		"#deleteRequest .statuses":   "slug",
		"#rotateSecret .statuses":    "slug",
		"#deleteSubscription":        "deliveries are cancelled;",
		"#listCaptureUrls .statuses": "409",
	} {
		if text := page.One(selector).Text(); strings.Contains(text, words) {
			t.Errorf("%s has %q: %s", selector, words, text)
		}
	}
	for operation, want := range map[string]bool{"#createCaptureUrl": true, "#updateCaptureUrl": false} {
		got := slices.ContainsFunc(page.All(operation+" .fields code"), func(e htmltest.Element) bool { return e.Text() == "slug" })
		if got != want {
			t.Errorf("%s takes a slug: %v, want %v", operation, got, want)
		}
	}
}

// The limits, the values and the defaults that the document gives for inputs are those of the API.
func TestOpenAPILimits(t *testing.T) {
	s := newSite(t)
	docs := readSchemas(t)
	u := s.user(false)
	token := s.token(u)
	captureURL := "/api/v1/capture-urls/" + storetest.CaptureURLOf(t, s.store, u).ID.Text(hook.CaptureURLPrefix)
	for _, input := range []struct {
		schema, path string
		around       func(name string, value any) map[string]any
	}{
		{"CaptureURLInput", "/api/v1/capture-urls", func(name string, v any) map[string]any { return map[string]any{"name": "a", name: v} }},
		{"KeepInput", "/api/v1/capture-urls", func(name string, v any) map[string]any {
			return map[string]any{"name": "a", "keep": map[string]any{name: v}}
		}},
		{"ResponseInput", "/api/v1/capture-urls", func(name string, v any) map[string]any {
			return map[string]any{"name": "a", "response": map[string]any{name: v}}
		}},
		{"SubscriptionInput", captureURL + "/subscriptions", func(name string, v any) map[string]any {
			doc := map[string]any{"name": "a", "target_url": "https://a.example", "backoff": []int{1}}
			doc[name] = v
			return doc
		}},
		{"SigningInput", captureURL + "/subscriptions", func(name string, v any) map[string]any {
			return map[string]any{"name": "a", "target_url": "https://a.example", "signing": map[string]any{"scheme": "github", name: v}}
		}},
		{"ConditionInput", captureURL + "/subscriptions", func(name string, v any) map[string]any {
			condition := map[string]any{"field": "method", "op": "is", "value": "a"}
			condition[name] = v
			return map[string]any{"name": "a", "target_url": "https://a.example", "filter": map[string]any{"all": []any{condition}}}
		}},
	} {
		send := func(name string, value any, status int) {
			t.Helper()
			body, _ := json.Marshal(input.around(name, value))
			a := s.api(token, "POST", input.path, string(body))
			wantStatus(t, fmt.Sprintf("%s.%s = %.40v", input.schema, name, value), a, status)
		}
		for name, schema := range docs.at("#/components/schemas/" + input.schema + "/properties") {
			schema := schema.(map[string]any)
			for bound, beyond := range map[string]float64{"minimum": -1, "maximum": 1} {
				if n, ok := schema[bound].(float64); ok && name != "bytes" {
					send(name, n, 201)
					send(name, n+beyond, 422)
				}
			}
			if n, ok := schema["maxLength"].(float64); ok && name != "target_url" && name != "field" && name != "slug" {
				send(name, strings.Repeat("a", int(n)), 201)
				send(name, strings.Repeat("a", int(n)+1), 422)
			}
			if values, ok := schema["enum"].([]any); ok {
				for _, v := range values {
					send(name, v, 201)
				}
				send(name, "x", 422)
			}
			if def, ok := schema["default"]; ok && def != nil {
				send(name, def, 201)
			}
		}
	}
}
