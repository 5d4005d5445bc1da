package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func get(t *testing.T, target string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestServe(t *testing.T) {
	t.Parallel()
	resp := get(t, URL("app.css"))
	content := body(t, resp.Body)
	source, err := fs.ReadFile(Sources, "app.css")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content, source) {
		t.Error("the stylesheet is not served as it is written")
	}
	for name, want := range map[string]string{
		"Content-Type":                 "text/css; charset=utf-8",
		"Cache-Control":                "public, max-age=31536000, immutable",
		"X-Content-Type-Options":       "nosniff",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Vary":                         "Accept-Encoding",
		"Content-Encoding":             "",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestNameHasHash(t *testing.T) {
	t.Parallel()
	for source, f := range load().bySource {
		sum := sha256.Sum256(f.content)
		ext := path.Ext(source)
		want := strings.TrimSuffix(source, ext) + "." + hex.EncodeToString(sum[:])[:12] + ext
		if f.hashedName != want {
			t.Errorf("%s is served as %s, want %s", source, f.hashedName, want)
		}
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	plain := body(t, get(t, URL("app.css")).Body)
	for accept, want := range map[string]bool{
		"gzip": true, "br, gzip;q=0.5": true, "GZIP": true, "": false, "br": false, "gzip;q=0": false, "gzip; q=0.0": false, "*": false,
	} {
		resp := get(t, URL("app.css"), "Accept-Encoding", accept)
		if got := resp.Header.Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: gzip is %v, want %v", accept, got, want)
			continue
		}
		if !want {
			continue
		}
		zr, err := gzip.NewReader(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(body(t, zr), plain) {
			t.Errorf("Accept-Encoding %q: another content", accept)
		}
	}
}

func TestNotServed(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"/static/app.css", "/static/", "/static/vendor/manifest.json", "/static/vendor/basecoat-css@1.0.2/LICENSE",
		"/static/../static.go", "/static/app.000000000000.css",
	} {
		if resp := get(t, target); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", target, resp.StatusCode)
		}
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, URL("app.css"), nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d, want 405", w.Code)
	}
}

// TestModules loads the modules as a browser does: from app.js, following every import.
func TestModules(t *testing.T) {
	t.Parallel()
	imports := regexp.MustCompile(`(?m)from "([^"]+)";$`)
	loaded := map[string]bool{}
	var follow func(target string)
	follow = func(target string) {
		if loaded[target] {
			return
		}
		loaded[target] = true
		resp := get(t, target)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", target, resp.StatusCode)
			return
		}
		for _, m := range imports.FindAllStringSubmatch(string(body(t, resp.Body)), -1) {
			follow(path.Join(path.Dir(target), m[1]))
		}
	}
	follow(URL("app.js"))
	var urls []string
	for _, name := range Modules() {
		urls = append(urls, URL(name))
	}
	for target := range loaded {
		if !slices.Contains(urls, target) {
			t.Errorf("%s is imported and not in Modules", target)
		}
	}
	if len(loaded) != len(urls) {
		t.Errorf("%d modules are imported, Modules has %d", len(loaded), len(urls))
	}
}

func TestChangedImportChangesName(t *testing.T) {
	t.Parallel()
	name := func(leaf string) string {
		l, err := newLibrary(fstest.MapFS{
			"app.js":    {Data: []byte("import { a } from \"./js/a.js\";\na();\n")},
			"js/a.js":   {Data: []byte("import { b } from \"./b.js\";\nexport const a = b;\n")},
			"js/b.js":   {Data: []byte(leaf)},
			"NOTES.txt": {Data: []byte("not served")},
		})
		if err != nil {
			t.Fatal(err)
		}
		return l.bySource["app.js"].hashedName
	}
	if name("export const b = 1;\n") == name("export const b = 2;\n") {
		t.Error("app.js keeps its name while a module it imports has changed: browsers would keep the old one")
	}
}

func TestBrokenImports(t *testing.T) {
	t.Parallel()
	for what, files := range map[string]fstest.MapFS{
		"missing": {"app.js": {Data: []byte("import \"./gone.js\";\n")}},
		"circle": {
			"a.js": {Data: []byte("import \"./b.js\";\n")},
			"b.js": {Data: []byte("import \"./a.js\";\n")},
		},
	} {
		if _, err := newLibrary(files); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func TestUnknownFilePanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a name that is not there was taken")
		}
	}()
	URL("gone.css")
}

// TestNothingFromElsewhere keeps the dashboard working without the internet: no file of ours asks another host for anything.
func TestNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere := regexp.MustCompile(`(?i)(?:url\(|@import|from|fetch\()\s*["']?(?:https?:)?//`)
	for name, f := range load().bySource {
		if m := elsewhere.Find(f.content); m != nil {
			t.Errorf("%s fetches from another host: %q", name, m)
		}
	}
}

// TestScriptsAvoidSinks keeps strings from becoming HTML or code anywhere but in fragment.js.
func TestScriptsAvoidSinks(t *testing.T) {
	t.Parallel()
	sinks := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("on|createContextualFragment|\.srcdoc`)
	parsers := 0
	for _, name := range Modules() {
		content := load().bySource[name].content
		if m := sinks.Find(content); m != nil {
			t.Errorf("%s uses %s", name, m)
		}
		if bytes.Contains(content, []byte("DOMParser")) {
			parsers++
		}
	}
	if parsers != 1 {
		t.Errorf("%d modules parse HTML, want 1", parsers)
	}
}

func TestVendored(t *testing.T) {
	t.Parallel()
	var manifest []struct {
		File        string `json:"file"`
		SHA256      string `json:"sha256"`
		Licence     string `json:"licence"`
		LicenceFile string `json:"licence_file"`
		Source      string `json:"source"`
	}
	content, err := fs.ReadFile(Sources, "vendor/manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &manifest); err != nil {
		t.Fatal(err)
	}
	listed := []string{"vendor/manifest.json"}
	for _, m := range manifest {
		listed = append(listed, "vendor/"+m.File, "vendor/"+m.LicenceFile)
		content, err := fs.ReadFile(Sources, "vendor/"+m.File)
		if err != nil {
			t.Error(err)
			continue
		}
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != m.SHA256 {
			t.Errorf("%s is not the file that was vendored", m.File)
		}
		licence, err := fs.ReadFile(Sources, "vendor/"+m.LicenceFile)
		if err != nil || len(bytes.TrimSpace(licence)) < 100 || m.Licence == "" || m.Source == "" {
			t.Errorf("%s: licence or source is missing (%v)", m.File, err)
		}
	}
	err = fs.WalkDir(Sources, "vendor", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !slices.Contains(listed, name) {
			t.Errorf("%s is not in the manifest", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
