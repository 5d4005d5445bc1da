// Package static holds the bytes that a browser fetches besides pages: the stylesheet, the modules of the dashboard,
// the icon, and vendored libraries with their licences.
//
// Every file is served under a name that carries a hash of its content (app.3f2a9c01b7de.css), so that a browser may
// keep it for ever and still sees each new version at once. Modules import each other by relative paths; those are
// rewritten to the hashed names when the files are first asked for, which needs no build step and no import map.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Prefix is the path below which the files are served.
const Prefix = "/static/"

// Sources are the files as they are written, with the manifest and the licences of the vendored ones.
//
//go:embed app.css app.js favicon.svg js vendor
var Sources embed.FS

// contentTypes are the kinds of files that are served. Anything else in Sources, such as a licence, is not.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// file is a file ready to be sent.
type file struct {
	hashedName  string
	contentType string
	content     []byte
	gzipped     []byte
}

// library is all files, by the name they are written under and by the name they are served under.
type library struct {
	bySource map[string]*file
	byHash   map[string]*file
	modules  []string // sources of the modules that app.js imports, app.js included, in the order of their names
}

var load = sync.OnceValue(func() *library {
	l, err := newLibrary(Sources)
	if err != nil {
		panic(err) // the files are part of the program: its tests run this
	}
	return l
})

// URL returns the address of a file: "app.css" is at "/static/app.3f2a9c01b7de.css". It panics when there is no such
// file, which only a mistake in a template can cause.
func URL(name string) string {
	f := load().bySource[name]
	if f == nil {
		panic("static: no file " + name)
	}
	return Prefix + f.hashedName
}

// Modules returns the names of all modules that a page loads, for URL: fetched at once they cost one round trip.
func Modules() []string { return load().modules }

// Handler serves the files. It expects the whole path, Prefix included.
func Handler() http.Handler { return http.HandlerFunc(serve) }

func serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Method not allowed", http.StatusMethodNotAllowed)
		return
	}
	f := load().byHash[strings.TrimPrefix(r.URL.Path, Prefix)]
	if f == nil {
		http.Error(w, "Not found", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Vary", "Accept-Encoding")
	content := f.content
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		content = f.gzipped
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(content) // a browser that has left needs no answer
}

// acceptsGzip reports whether an Accept-Encoding header takes gzip (RFC 9110 section 12.5.3). A wildcard is not
// counted: every browser names it.
func acceptsGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		weight, found := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		return !found || strings.Trim(weight, "0.") != ""
	}
	return false
}

// newLibrary reads all files of fsys that are served, hashes and compresses them.
func newLibrary(fsys fs.FS) (*library, error) {
	b := &builder{
		fsys:    fsys,
		library: &library{bySource: map[string]*file{}, byHash: map[string]*file{}},
		open:    map[string]bool{},
	}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || contentTypes[path.Ext(name)] == "" {
			return err
		}
		_, err = b.add(name)
		return err
	})
	slices.Sort(b.library.modules)
	return b.library, err
}

type builder struct {
	fsys    fs.FS
	library *library
	open    map[string]bool // modules being added, to find an import that comes back to itself
}

// add puts a file into the library, after the modules it imports: their names are part of its content.
func (b *builder) add(name string) (*file, error) {
	if f := b.library.bySource[name]; f != nil {
		return f, nil
	}
	content, err := fs.ReadFile(b.fsys, name)
	if err != nil {
		return nil, err
	}
	if path.Ext(name) == ".js" {
		if content, err = b.rewriteImports(name, content); err != nil {
			return nil, err
		}
		b.library.modules = append(b.library.modules, name)
	}
	f, err := newFile(name, content)
	if err != nil {
		return nil, err
	}
	b.library.bySource[name] = f
	b.library.byHash[f.hashedName] = f
	return f, nil
}

// importPath finds the path of a static import or re-export: one that starts with a dot and ends a statement.
var importPath = regexp.MustCompile(`(?m)^((?:import|export)\b[^"';]*["'])(\.{1,2}/[^"']+)(["'];)$`)

func (b *builder) rewriteImports(name string, content []byte) ([]byte, error) {
	if b.open[name] {
		return nil, fmt.Errorf("static: %s imports itself, through other modules or at once", name)
	}
	b.open[name] = true
	defer delete(b.open, name)
	var failed error
	dir := path.Dir(name)
	rewritten := importPath.ReplaceAllFunc(content, func(statement []byte) []byte {
		m := importPath.FindSubmatch(statement)
		imported, err := b.add(path.Join(dir, string(m[2])))
		if err != nil {
			failed = fmt.Errorf("static: %s: %w", name, err)
			return statement
		}
		target := relative(dir, imported.hashedName)
		return slices.Concat(m[1], []byte(target), m[3])
	})
	return rewritten, failed
}

// relative returns target as a module in dir imports it; dir is the directory of target or one above it.
func relative(dir, target string) string {
	if dir == "." {
		return "./" + target
	}
	return "./" + strings.TrimPrefix(target, dir+"/")
}

func newFile(name string, content []byte) (*file, error) {
	var gzipped bytes.Buffer
	zw, err := gzip.NewWriterLevel(&gzipped, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := zw.Write(content); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	ext := path.Ext(name)
	return &file{
		hashedName:  strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext,
		contentType: contentTypes[ext],
		content:     content,
		gzipped:     gzipped.Bytes(),
	}, nil
}
