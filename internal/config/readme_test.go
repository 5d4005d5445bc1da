package config

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestReadme holds README's table to the settings: each is there, and each that is there exists.
func TestReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range known() {
		if !strings.Contains(string(readme), strings.TrimSuffix(variable, "_FILE")) {
			t.Errorf("README does not tell of %s", variable)
		}
	}
	for _, word := range strings.FieldsFunc(string(readme), func(r rune) bool {
		return r != '_' && (r < 'A' || r > 'Z')
	}) {
		if strings.HasPrefix(word, "HOOKKEEPER_") && !strings.HasPrefix(word, "HOOKKEEPER_TEST_") && !slices.Contains(known(), word) {
			t.Errorf("README tells of %s, which is no setting", word)
		}
	}
}
