package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/hookkeeper/hookkeeper"
	root   = "../.."
)

// allowed says what each package may import besides the standard library: packages of ours by their short names, others
// by their import paths. "*" is all of ours.
var allowed = map[string][]string{
	".":            {"internal/cli"},
	"internal/cli": {"*", "github.com/alecthomas/kong", "github.com/lmittmann/tint", "golang.org/x/term"},
	"web": {
		"templates", "static", "internal/store", "internal/live", "internal/view", "internal/auth", "internal/hook",
		"internal/netid", "internal/snippet", "internal/filter", "internal/signing", "internal/egress", "internal/tally", "github.com/a-h/templ", "github.com/alexedwards/scs/v2",
		"github.com/gorilla/websocket", "github.com/go-json-experiment/json", "github.com/go-json-experiment/json/jsontext",
		"golang.org/x/sync/semaphore",
	},
	"templates": {
		"static", "internal/hook", "internal/view", "internal/snippet", "internal/tally", "github.com/a-h/templ", "github.com/a-h/templ/runtime",
	},
	"internal/capture":  {"internal/store", "internal/live", "internal/hook", "internal/netid", "internal/filter", "internal/tally", "golang.org/x/time/rate"},
	"internal/delivery": {"internal/store", "internal/egress", "internal/hook", "internal/filter", "internal/signing", "internal/tally", "golang.org/x/time/rate"},
	"internal/store":    {"internal/hook", "internal/seal", "github.com/pressly/goose/v3", "modernc.org/sqlite"},
	"internal/live":     {"internal/hook"},
	"internal/view":     {"internal/hook"},
	"internal/snippet":  {"internal/hook"},
	"internal/config":   {"internal/hook", "internal/egress", "internal/seal"}, // bounds of settings; allow-list; key
	"internal/auth":     {"internal/hook", "github.com/alexedwards/argon2id"},
	"internal/egress":   {"internal/hook"},
	"internal/filter":   {"internal/hook", "github.com/itchyny/gojq"},
	"internal/signing":  {"internal/hook"},
	"internal/seal":     {},
	"internal/netid":    {},
	"internal/tally":    {"internal/hook"},
	"internal/hook":     {},
	"static":            {},
}

// testPackages hold test code only and may import anything; nothing else may import them.
var testPackages = []string{"internal/archtest", "internal/e2e", "internal/htmltest", "internal/storetest"}

func TestImports(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for dir, imports := range packages(t) {
		seen[dir] = true
		if slices.Contains(testPackages, dir) {
			continue
		}
		rules, ok := allowed[dir]
		if !ok {
			t.Errorf("package %s has no row in the table: say what it may import", dir)
			continue
		}
		for _, path := range imports {
			if !permits(rules, path) {
				t.Errorf("package %s must not import %s", dir, path)
			}
		}
	}
	for dir := range allowed {
		if !seen[dir] {
			t.Errorf("the table has a row for %s, which is not there", dir)
		}
	}
}

func permits(rules []string, path string) bool {
	short, ours := strings.CutPrefix(path, module+"/")
	switch {
	case ours && slices.Contains(testPackages, short):
		return false
	case ours:
		return slices.Contains(rules, "*") || slices.Contains(rules, short)
	case !strings.Contains(strings.SplitN(path, "/", 2)[0], "."):
		return true // the standard library
	}
	return slices.Contains(rules, path)
}

// packages returns the imports of the non-test files of every package, by its folder.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		imports := found[dir]
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, name)
		}
		found[dir] = imports
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// dialling is how Go code opens a connection to somewhere, or makes what does.
var dialling = []string{
	"net.Dial", "net.DialTimeout", "net.DialTCP", "net.DialUDP", "net.DialIP", "net.DialUnix", "net.Dialer", "tls.Dial",
	"tls.DialWithDialer", "tls.Dialer", "http.Client", "http.Transport", "http.DefaultClient", "http.DefaultTransport", "http.Get",
	"http.Head", "http.Post", "http.PostForm", "httputil.ReverseProxy", "httputil.NewSingleHostReverseProxy", "smtp.Dial",
	"smtp.SendMail", "rpc.Dial", "rpc.DialHTTP", "websocket.Dialer", "websocket.DefaultDialer", "syscall.Connect", "exec.Command",
	"exec.CommandContext",
}

// TestOnlyTheGuardDials: no part of the product but internal/egress opens connections. The one exception asks the server at the
// address that it is itself configured with whether it is ready.
func TestOnlyTheGuardDials(t *testing.T) {
	t.Parallel()
	guards := 0
	for dir := range packages(t) {
		if slices.Contains(testPackages, dir) {
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			short, _ := filepath.Rel(root, path)
			if strings.HasSuffix(path, "_test.go") || short == "internal/cli/healthcheck.go" {
				continue
			}
			for _, use := range dials(t, path) {
				if dir == "internal/egress" {
					guards++
				} else {
					t.Errorf("%s: %s; only internal/egress may dial", short, use)
				}
			}
		}
	}
	if guards == 0 {
		t.Error("not even the guard is found to dial")
	}
}

// dials returns where a file names what is in dialling, whatever it calls the package.
func dials(t *testing.T, path string) (uses []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]string{} // the last part of the import path, by the name in this file
	for _, spec := range file.Imports {
		full, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		last := full[strings.LastIndexByte(full, '/')+1:]
		if spec.Name == nil {
			named[last] = last
			continue
		}
		named[spec.Name.Name] = last
		if spec.Name.Name == "." {
			uses = append(uses, "a dot import of "+full)
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && slices.Contains(dialling, named[x.Name]+"."+selector.Sel.Name) {
				uses = append(uses, files.Position(selector.Pos()).String()+" has "+x.Name+"."+selector.Sel.Name)
			}
		}
		return true
	})
	return uses
}

// TestTopLevel holds the top level to what the project's layout fixes.
func TestTopLevel(t *testing.T) {
	t.Parallel()
	fixed := []string{
		"web", "templates", "static", "internal", "main.go", "go.mod", "go.sum", "Dockerfile", "README.md", "LICENSE",
		"compose.yaml",
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, ".") && !slices.Contains(fixed, name) && !ignored(t, name) {
			t.Errorf("%s does not belong at the top level", name)
		}
	}
}

// ignored reports whether .gitignore names what a run of the product leaves behind.
func ignored(t *testing.T, name string) bool {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(strings.Fields(string(content)), "/"+name)
}

// TestEveryPackageSaysWhatItIs finds packages without a package comment.
func TestEveryPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	for dir := range packages(t) {
		pattern := filepath.Join(root, dir, "*.go")
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		documented := slices.ContainsFunc(files, func(path string) bool {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
			return err == nil && file.Doc != nil && !strings.HasSuffix(path, "_templ.go")
		})
		if !documented {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}
