package view

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const formData = "multipart/form-data; boundary=b"

// summary is what the tests compare of a part.
type summary struct{ Name, FileName, ContentType, Text, Problem string }

// preview is the beginning of a part as pages show it.
func preview(p Part) TextView {
	if p.Binary {
		return TextView{}
	}
	return Text(p.Content, PartPreview)
}

func summaries(v MultipartView) []summary {
	var all []summary
	for _, p := range v.Parts {
		var text strings.Builder
		for _, s := range preview(p).Segments {
			text.WriteString(s.Text)
		}
		if p.Binary {
			text.WriteString("binary " + Size(int64(len(p.Content))))
		}
		all = append(all, summary{p.Name, p.FileName, p.ContentType, text.String(), p.Problem})
	}
	return all
}

func TestMultipart(t *testing.T) {
	const disposition = "Content-Disposition: form-data; name=a"
	for _, tc := range []struct {
		name, contentType, body string
		want                    []summary
		problem                 string
	}{
		{
			"a field and a file", `Multipart/Form-Data; boundary="b b"`,
			"--b b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nhello\r\nworld\r\n--b b\r\n" +
				"content-disposition: form-data; name=\"f\"; filename=\"x.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG\x00\r\n--b b--\r\n",
			[]summary{{Name: "a", Text: `hello\x0D` + "\nworld"}, {"f", "x.png", "image/png", "binary 5 bytes", ""}},
			"",
		},
		{
			"preamble and epilogue", "multipart/mixed; boundary=b", "hi --b\r\n--b\r\n\r\nx\r\n--b--\r\nbye\r\n--b\r\n\r\ny",
			[]summary{{Text: "x"}},
			"",
		},
		{
			"line feeds alone, padding", formData, "--b \t\n" + disposition + "\n\nx\n\n--b--  ",
			[]summary{{Name: "a", Text: "x\n"}},
			"",
		},
		{
			"boundary inside a line and longer ones", formData, "--b\r\n\r\nx--b\r\n--bb\r\n--b-\r\n--b--",
			[]summary{{Text: `x--b\x0D` + "\n--bb" + `\x0D` + "\n--b-"}},
			"",
		},
		{
			"hostile file names", formData, "--b\r\nContent-Disposition: form-data; name=\"<script>\"; filename=\"..\\..\\x\"\r\n\r\n\r\n" +
				"--b\r\nContent-Disposition: form-data; filename=\"../../etc/passwd\x00\u202egpj\"\r\n\r\n\r\n--b--",
			[]summary{{Name: "<script>", FileName: `..\..\x`}, {FileName: "../../etc/passwd\x00\u202egpj"}},
			"",
		},
		{
			"folded header", formData, "--b\r\nContent-Disposition: form-data;\r\n\tname=a;\n filename=f\r\n\r\nx\r\n--b--",
			[]summary{{Name: "a", FileName: "f", Text: "x"}},
			"",
		},
		{
			"latin-1 in declared text", formData, "--b\r\nContent-Type: text/plain\r\n\r\ncaf\xe9\r\n--b--",
			[]summary{{ContentType: "text/plain", Text: `caf\xE9`}},
			"",
		},
		{"no parts", formData, "--b--", nil, ""},
		{"empty part", formData, "--b\r\n\r\n--b--", []summary{{}}, ""},
		{
			"line without colon", formData, "--b\r\nnonsense\r\n" + disposition + "\r\n\r\nx\r\n--b--",
			[]summary{{Name: "a", Text: "x", Problem: "a line of its headers has no colon"}},
			"",
		},
		{
			"bad disposition", formData, "--b\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--b--",
			[]summary{{Text: "x", Problem: "its Content-Disposition cannot be read"}},
			"",
		},
		{
			"two dispositions", formData, "--b\r\n" + disposition + "\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
			[]summary{{Name: "a", Text: "x", Problem: "it has more than one Content-Disposition: the first counts"}},
			"",
		},
		{
			"two types", formData, "--b\r\nContent-Type: text/plain\r\n" + disposition + "\r\ncontent-type: text/html\r\n\r\nx\r\n--b--",
			[]summary{{Name: "a", ContentType: "text/plain", Text: "x", Problem: "it has more than one Content-Type: the first counts"}},
			"",
		},
		{
			"no empty line", formData, "--b\r\n" + disposition + "\r\n--b--",
			[]summary{{Text: disposition, Problem: "no empty line ends its headers: all of it is shown as content"}},
			"",
		},
		{
			"headers without end", formData, "--b\r\n" + strings.Repeat("X: y\r\n", maxPartHeaders/6+1) + "\r\nx\r\n--b--",
			[]summary{{Text: strings.Repeat(`X: y\x0D`+"\n", PartPreview/6) + "X: y", Problem: "no empty line ends its headers: all of it is shown as content"}},
			"",
		},
		{
			"cut off", formData, "--b\r\n\r\nx\r\n--b\r\n\r\nhalf of i",
			[]summary{{Text: "x"}, {Text: "half of i"}},
			"the last part is cut off: the closing boundary is missing",
		},
		{
			"cut off in a boundary", formData, "--b\r\n\r\nx\r\n--b",
			[]summary{{Text: `x\x0D` + "\n--b"}},
			"the last part is cut off: the closing boundary is missing",
		},
		{
			"cut off behind a boundary", formData, "--b\r\n\r\nx\r\n--b\r\n",
			[]summary{{Text: "x"}},
			"the last part is cut off: the closing boundary is missing",
		},
		{"another boundary", formData, "--c\r\n\r\nx\r\n--c--", nil, "the boundary that the Content-Type names is not in the body"},
		{"no boundary", "multipart/form-data", "--b--", nil, "the Content-Type names no boundary"},
		{"empty boundary", "multipart/form-data; boundary=\"\"", "--b--", nil, "the Content-Type names no boundary"},
		{"unreadable type", "multipart/form-data; boundary=a/b", "--a/b--", nil, "the Content-Type cannot be read, so the boundary is not known"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Multipart(tc.contentType, []byte(tc.body))
			if diff := cmp.Diff(tc.want, summaries(got)); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
			if got.Problem != tc.problem || got.More {
				t.Errorf("Problem = %q, More = %v; want %q", got.Problem, got.More, tc.problem)
			}
		})
	}
}

func TestMultipartLimits(t *testing.T) {
	parts := func(n int, content string) []byte {
		return []byte(strings.Repeat("--b\r\n\r\n"+content+"\r\n", n) + "--b--")
	}
	v := Multipart(formData, parts(maxParts, "x"))
	if len(v.Parts) != maxParts || v.More {
		t.Errorf("%d parts, More %v; want all %d", len(v.Parts), v.More, maxParts)
	}
	v = Multipart(formData, parts(5000, "x"))
	if len(v.Parts) != maxParts || !v.More {
		t.Errorf("%d parts, More %v; want %d and more", len(v.Parts), v.More, maxParts)
	}
	v = Multipart(formData, parts(1, strings.Repeat("x", PartPreview+1)))
	if p := preview(v.Parts[0]); p.Total != PartPreview+1 || p.Shown != PartPreview || !p.Truncated() {
		t.Errorf("%d of %d bytes are shown, want %d of %d", p.Shown, p.Total, PartPreview, PartPreview+1)
	}
}

// FuzzViewMultipart compares with mime/multipart where that one takes the whole body.
func FuzzViewMultipart(f *testing.F) {
	for _, s := range hostile {
		f.Add(formData, []byte("--b\r\nContent-Disposition: form-data; name=\""+s+"\"\r\n\r\n"+s+"\r\n--b--"))
		f.Add(s, []byte(s))
	}
	f.Add(`multipart/mixed; boundary="--"`, []byte(strings.Repeat("\r\n----", 20)))
	f.Add(formData, []byte("--b\r\nContent-Disposition: form-data; name=\"0\"\r\nContent-Disposition: form-data\r\n\r\n\r\n--b--"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		start := time.Now()
		v := Multipart(contentType, body)
		if took := time.Since(start); took > time.Second {
			t.Fatalf("took %v for %d bytes", took, len(body))
		}
		total, problem := 0, false
		for _, p := range v.Parts {
			total += len(p.Content)
			problem = problem || p.Problem != ""
			if shown := preview(p).Shown; shown > PartPreview {
				t.Fatalf("part of %d bytes shows %d", len(p.Content), shown)
			}
		}
		if len(v.Parts) > maxParts || total > len(body) {
			t.Fatalf("%d parts of %d bytes from %d", len(v.Parts), total, len(body))
		}
		want, err := goParts(contentType, body)
		if err != nil || v.More || problem {
			return
		}
		var got []summary
		for _, p := range v.Parts {
			got = append(got, summary{Name: p.Name, Text: Size(int64(len(p.Content)))})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("parts (-mime/multipart +ours):\n%s", diff)
		}
	})
}

// goParts reads what mime/multipart reads too; it is lenient in ways of its own, which the fuzzer is not after.
func goParts(contentType string, body []byte) ([]summary, error) {
	_, params, err := mime.ParseMediaType(contentType)
	boundary := params["boundary"]
	if err != nil || strings.Trim(boundary, "abcdefghijklmnopqrstuvwxyz") != "" || boundary == "" {
		return nil, errors.New("another kind of boundary")
	}
	if bytes.Count(body, []byte("\n")) != bytes.Count(body, []byte("\r\n")) || !bytes.HasPrefix(body, []byte("--"+boundary+"\r\n")) {
		return nil, errors.New("another kind of line break, a preamble")
	}
	r := multipart.NewReader(bytes.NewReader(body), boundary)
	var all []summary
	for {
		part, err := r.NextRawPart()
		if err == io.EOF { //nolint:errorlint // a body that is cut off gives one that wraps it
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		n, err := io.Copy(io.Discard, part)
		if err != nil {
			return nil, err
		}
		_, params, _ := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
		all = append(all, summary{Name: params["name"], Text: Size(n)})
	}
}

func BenchmarkMultipart(b *testing.B) {
	for name, body := range map[string]string{
		"3 fields":        strings.Repeat("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue\r\n", 3) + "--b--\r\n",
		"10 MB file":      "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + strings.Repeat("\x00", 10<<20) + "\r\n--b--\r\n",
		"10 MB near ends": "--b\r\n\r\n" + strings.Repeat("\r\n--bx", 10<<20/6),
		"10 MB near pads": "--b\r\n\r\n" + strings.Repeat("\r\n--b"+strings.Repeat(" ", 100)+"x", 10<<20/106),
	} {
		b.Run(name, func(b *testing.B) {
			in := []byte(body)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				Multipart(formData, in)
			}
		})
	}
}
