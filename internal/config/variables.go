package config

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// ours returns the variables of environ that start like a setting. Of a name that is there twice the last one counts.
func ours(environ []string) map[string]string {
	env := map[string]string{}
	for _, variable := range environ {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, variablePrefix) {
			env[name] = value
		}
	}
	return env
}

// known returns the names of all variables that are settings.
func known() []string {
	names := []string{adminPassword, apiToken, secretKey}
	new(Settings).fields(func(flag string, _ reflect.StructTag, _ *string) { names = append(names, Variable(flag)) })
	return names
}

// refuseUnknown reports the variables that no setting has.
func (p *parser) refuseUnknown() {
	names := known()
	for _, name := range slices.Sorted(maps.Keys(p.env)) {
		if slices.Contains(names, name) || serviceLink(name, p.env[name]) {
			continue
		}
		if match := closest(name, names); match != "" {
			p.fail(name, "is not a setting; did you mean %s?", match)
		} else {
			p.fail(name, "is not a setting; remove it, or see all of them with: hookkeeper serve --help")
		}
	}
}

var serviceLinkName = regexp.MustCompile(`_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)

// serviceLink reports whether Kubernetes made the variable for a service called hookkeeper: it puts HOOKKEEPER_PORT,
// HOOKKEEPER_SERVICE_HOST and the like into every container of the namespace
// (kubernetes.io/docs/concepts/services-networking/service, "Environment variables").
func serviceLink(name, value string) bool {
	return serviceLinkName.MatchString(name) || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}

// closest returns the name that is most like a misspelt one, "" when none is near.
func closest(misspelt string, names []string) (match string) {
	const far = 5 // edits; more is another word
	best := far
	for _, name := range names {
		if d := distance(misspelt, name); d < best {
			best, match = d, name
		}
	}
	return match
}

// distance returns the number of bytes to insert, delete or replace to turn a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
