package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEachLimitIsMet holds the list of limits to tests that meet them and look at the count.
func TestEachLimitIsMet(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile(filepath.Join(root, "internal/hook/limit.go"))
	if err != nil {
		t.Fatal(err)
	}
	limits := regexp.MustCompile(`(?m)^	(Limit[A-Z]\w+)$`).FindAllStringSubmatch(string(list), -1)
	if len(limits) < 30 {
		t.Fatalf("%d limits are read", len(limits))
	}
	tests := testSources(t)
	for _, limit := range limits {
		if !regexp.MustCompile(`hook\.` + limit[1] + `\b`).MatchString(tests) {
			t.Errorf("no test meets hook.%s", limit[1])
		}
		if !regexp.MustCompile(`\t` + limit[1] + `: +\{`).MatchString(string(list)) {
			t.Errorf("%s has no words", limit[1])
		}
	}
}

// testSources returns all test files, one after another.
func testSources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		all.Write(source)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
