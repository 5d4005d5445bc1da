package web

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/hookkeeper/hookkeeper/internal/view"
	"github.com/hookkeeper/hookkeeper/templates"
)

// apiSchema is a JSON schema as openapi.json uses them.
type apiSchema struct {
	Ref         string           `json:"$ref"`
	Title       string           `json:"title"`
	Type        jsontext.Value   `json:"type"` // a name, or a list of names
	Format      string           `json:"format"`
	Description string           `json:"description"`
	Enum        []jsontext.Value `json:"enum"`
	Default     jsontext.Value   `json:"default"`
	Minimum     *float64         `json:"minimum"`
	Maximum     *float64         `json:"maximum"`
	MinLength   *int64           `json:"minLength"`
	MaxLength   *int64           `json:"maxLength"`
	MaxItems    *int64           `json:"maxItems"`
	Encoding    string           `json:"contentEncoding"`
	Items       *apiSchema       `json:"items"`
	Properties  apiProperties    `json:"properties"`
	Required    []string         `json:"required"`
	AllOf       []apiSchema      `json:"allOf"`
	AnyOf       []apiSchema      `json:"anyOf"`
	OneOf       []apiSchema      `json:"oneOf"`
}

// apiProperties are the fields of an object in the order in which they stand.
type apiProperties []apiProperty

type apiProperty struct {
	name   string
	schema apiSchema
}

// UnmarshalJSONFrom keeps the order, which a map would lose.
func (p *apiProperties) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		var property apiProperty
		if err := json.UnmarshalDecode(dec, &property.name); err != nil {
			return err
		}
		if err := json.UnmarshalDecode(dec, &property.schema); err != nil {
			return err
		}
		*p = append(*p, property)
	}
	_, err := dec.ReadToken()
	return err
}

// schema follows references, takes the parts of an allOf together, and of a choice that is only there for null the other one. What
// a reference says of itself holds beside what it points to.
func (d *apiDocument) schema(s apiSchema) apiSchema {
	whole := s
	whole.Ref, whole.AllOf, whole.AnyOf, whole.OneOf = "", nil, nil, nil
	if s.Ref != "" {
		whole = merged(d.schema(d.Components.Schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]), whole)
	}
	for _, part := range s.AllOf {
		whole = merged(d.schema(part), whole)
	}
	for _, choice := range slices.Concat(s.AnyOf, s.OneOf) {
		if choice.typeNames() != "null" {
			whole = merged(d.schema(choice), whole)
			whole.Type = jsontext.Value(`["object", "null"]`)
		}
	}
	return whole
}

// merged adds to a schema what another one says.
func merged(base, more apiSchema) apiSchema {
	base.Title = cmp.Or(more.Title, base.Title)
	base.Description = cmp.Or(more.Description, base.Description)
	base.Required = slices.Concat(base.Required, more.Required)
	base.Properties = slices.Concat(base.Properties, more.Properties)
	if len(base.Type) == 0 {
		base.Type = more.Type
	}
	return base
}

// typeNames returns the type as people read it: "string or null".
func (s *apiSchema) typeNames() string {
	var one string
	if json.Unmarshal(s.Type, &one) == nil {
		return one
	}
	var several []string
	_ = json.Unmarshal(s.Type, &several) // a test holds that it is one of the two
	return strings.Join(several, " or ")
}

// fields describes the fields of an object, those of the objects in it by their path. What has a title is described in a place of
// its own, which it refers to.
func (d *apiDocument) fields(object apiSchema, prefix string) (all []templates.APIField) {
	for _, p := range object.Properties {
		s := d.schema(p.schema)
		field := templates.APIField{
			Name: prefix + p.name, Type: s.typeNames(), Required: slices.Contains(object.Required, p.name), Description: s.Description,
			Limits: s.limits(), Values: s.values(), Default: defaultOf(&s),
		}
		inner, name := s, field.Name+"."
		if s.Items != nil {
			inner, name = d.schema(*s.Items), field.Name+"[]."
			field.Type = strings.Replace(field.Type, "array", "list of "+plural(inner.typeNames()), 1)
			field.Limits = append(field.Limits, each(inner.limits())...)
		}
		if inner.Title != "" {
			field.Of = d.refer(inner)
		}
		all = append(all, field)
		if inner.Title == "" {
			all = append(all, d.fields(inner, name)...)
		}
	}
	return all
}

func plural(typeName string) string { return typeName + "s" }

// each says that limits are those of every entry of a list.
func each(limits []string) []string {
	for i, l := range limits {
		limits[i] = "each " + l
	}
	return limits
}

// refer notes that something with a title is to be described, and returns the title.
func (d *apiDocument) refer(s apiSchema) string {
	if !slices.ContainsFunc(d.objects, func(o apiSchema) bool { return o.Title == s.Title }) {
		d.objects = append(d.objects, s)
		d.fields(s, "") // what it refers to
	}
	return s.Title
}

// limits says between which bounds a value has to be.
func (s *apiSchema) limits() (all []string) {
	number := func(v float64) string {
		if n := int64(v); float64(n) == v {
			return view.Count(n)
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		all = append(all, number(*s.Minimum)+" to "+number(*s.Maximum))
	case s.Minimum != nil:
		all = append(all, "at least "+number(*s.Minimum))
	}
	switch {
	case s.MinLength != nil && s.MaxLength != nil:
		all = append(all, view.Count(*s.MinLength)+" to "+view.Count(*s.MaxLength)+" characters")
	case s.MaxLength != nil:
		all = append(all, "at most "+view.Count(*s.MaxLength)+" characters")
	case s.MinLength != nil:
		all = append(all, "not empty")
	}
	if s.MaxItems != nil {
		all = append(all, "at most "+view.Count(*s.MaxItems)+" entries")
	}
	switch {
	case s.Format == "date-time":
		all = append(all, "a time (RFC 3339)")
	case s.Encoding != "":
		all = append(all, s.Encoding)
	}
	return all
}

// values returns what a value can be, when only some can.
func (s *apiSchema) values() (all []string) {
	for _, v := range s.Enum {
		var text string
		if v.Kind() != 'n' && json.Unmarshal(v, &text) == nil {
			all = append(all, text)
		}
	}
	return all
}

// defaultOf returns what a field is when it is not given, "" when that is nothing.
func defaultOf(s *apiSchema) string {
	var text string
	switch {
	case len(s.Default) == 0 || s.Default.Kind() == 'n':
		return ""
	case json.Unmarshal(s.Default, &text) == nil:
		return text
	}
	return strings.ReplaceAll(string(s.Default), ", ", ",")
}
