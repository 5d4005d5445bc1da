package filter

import (
	"cmp"
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/itchyny/gojq"
)

const (
	maxConstant = 10 // values in the argument of contains: each is compared with every value of the body in one step
	maxPattern  = 64 // instructions of a regular expression: each may be run at every byte of a text. A UUID takes 40.
)

// functions are what a program may call, by name and number of arguments. Not here on purpose: what makes a text, an
// array or an object longer than its input (join, tojson, map), what takes much longer for one step than to read its
// input (index, min, add), what loops without an end (range, until, recurse(f)), what changes values (del, setpath)
// and what looks elsewhere (input, env, debug).
var functions = strings.Fields(`
	select/1 empty/0 not/0 type/0 length/0 utf8bytelength/0 has/1 keys/0 recurse/0
	values/0 nulls/0 booleans/0 numbers/0 strings/0 arrays/0 objects/0 iterables/0 scalars/0
	first/0 first/1 last/0 last/1 isempty/1 any/0 any/1 any/2 all/0 all/1 all/2 IN/1 IN/2 contains/1 inside/1
	startswith/1 endswith/1 ltrimstr/1 rtrimstr/1 trim/0 ltrim/0 rtrim/0 ascii_downcase/0 ascii_upcase/0 test/1 test/2
	tonumber/0 tostring/0 toboolean/0 abs/0 floor/0 ceil/0 round/0
`)

// check refuses what a filter does not need, or does not need to have in full. gojq looks at the time between its steps
// only, and one step can take any time and memory: "x" * 1e9 makes a gigabyte, tojson | tojson doubles a text each time,
// and [., .] | [., .] makes a small value whose comparison does not end. So no program that passes can make a value that
// is larger than the body or itself, and each of its steps takes about as long as reading the body. Errors go behind "the
// jq program".
func check(q *gojq.Query) error {
	switch {
	case q == nil:
		return nil
	case q.Meta != nil, len(q.Imports) > 0:
		return refuse("modules")
	case len(q.FuncDefs) > 0:
		return refuse("def")
	case q.Term != nil:
		return term(q.Term)
	case q.Right == nil:
		return errors.New("is empty")
	case len(q.Patterns) > 1, len(q.Patterns) == 1 && q.Patterns[0].Name == "":
		return refuse("as with a pattern")
	}
	return cmp.Or(operator(q.Op), check(q.Left), check(q.Right))
}

func refuse(what string) error {
	return fmt.Errorf("cannot use %s: a filter only reads and compares", what)
}

func operator(op gojq.Operator) error {
	switch op {
	case gojq.OpPipe, gojq.OpComma, gojq.OpAnd, gojq.OpOr, gojq.OpAlt,
		gojq.OpEq, gojq.OpNe, gojq.OpGt, gojq.OpLt, gojq.OpGe, gojq.OpLe:
		return nil
	case gojq.OpAssign:
		return refuse("= (to compare, write ==)")
	}
	return refuse(op.String())
}

func term(t *gojq.Term) error {
	for _, suffix := range t.SuffixList {
		if err := index(suffix.Index); err != nil {
			return err
		}
	}
	switch t.Type {
	case gojq.TermTypeIdentity, gojq.TermTypeRecurse, gojq.TermTypeNull, gojq.TermTypeTrue, gojq.TermTypeFalse, gojq.TermTypeNumber:
		return nil
	case gojq.TermTypeString:
		return plain(t.Str)
	case gojq.TermTypeIndex:
		return index(t.Index)
	case gojq.TermTypeQuery:
		return check(t.Query)
	case gojq.TermTypeUnary:
		return term(t.Unary.Term)
	case gojq.TermTypeIf:
		return condition(t.If)
	case gojq.TermTypeTry:
		return cmp.Or(check(t.Try.Body), check(t.Try.Catch))
	case gojq.TermTypeFunc:
		return call(t.Func)
	case gojq.TermTypeArray, gojq.TermTypeObject:
		_, err := constant(&gojq.Query{Term: &gojq.Term{Type: t.Type, Array: t.Array, Object: t.Object}})
		return err
	case gojq.TermTypeReduce:
		return refuse("reduce")
	case gojq.TermTypeForeach:
		return refuse("foreach")
	case gojq.TermTypeLabel, gojq.TermTypeBreak:
		return refuse("label")
	case gojq.TermTypeFormat:
		return refuse("formats such as @base64")
	}
	return refuse("some of what it says")
}

func condition(e *gojq.If) error {
	for _, branch := range e.Elif {
		if err := cmp.Or(check(branch.Cond), check(branch.Then)); err != nil {
			return err
		}
	}
	return cmp.Or(check(e.Cond), check(e.Then), check(e.Else))
}

func plain(s *gojq.String) error {
	if s != nil && s.Queries != nil {
		return refuse(`\( ) in a text`)
	}
	return nil
}

// index wants indices written out: one that is an array is searched for, which takes the product of both lengths.
func index(x *gojq.Index) error {
	if x == nil {
		return nil
	}
	for _, q := range []*gojq.Query{x.Start, x.End} {
		if q != nil && !isScalar(q) {
			return refuse("an index that is not written out as a number or a text")
		}
	}
	return plain(x.Str)
}

func isScalar(q *gojq.Query) bool {
	n, err := constant(q)
	return err == nil && n == 1 && q.Term.Type != gojq.TermTypeArray && q.Term.Type != gojq.TermTypeObject
}

func call(f *gojq.Func) error {
	if f.Name[0] == '$' && f.Name != "$ENV" {
		return nil
	}
	name := f.Name + "/" + strconv.Itoa(len(f.Args))
	switch {
	case !slices.Contains(functions, name) && !isWord(f):
		return errors.New("calls a function that filters do not have")
	case !slices.Contains(functions, name):
		return refuse(name)
	case f.Name == "contains", f.Name == "inside":
		return compared(f.Args[0])
	case f.Name == "test":
		return pattern(f.Args)
	}
	for _, arg := range f.Args {
		if err := check(arg); err != nil {
			return err
		}
	}
	return nil
}

// isWord reports whether jq has a function of that name. Other names are the sender's own, which errors must not repeat.
func isWord(f *gojq.Func) bool {
	identity := &gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeIdentity}}
	plain := &gojq.Func{Name: f.Name, Args: slices.Repeat([]*gojq.Query{identity}, len(f.Args))}
	_, err := gojq.Compile(&gojq.Query{Term: &gojq.Term{Type: gojq.TermTypeFunc, Func: plain}})
	return err == nil
}

// compared is the argument of contains and inside.
func compared(arg *gojq.Query) error {
	n, err := constant(arg)
	if err != nil || n > maxConstant {
		return fmt.Errorf("needs the argument of contains and inside written out, with at most %d values", maxConstant)
	}
	return nil
}

// constant counts the values of a JSON value that is written out, and refuses anything else.
func constant(q *gojq.Query) (values int, err error) {
	if q.Term == nil || len(q.FuncDefs) > 0 || len(q.Term.SuffixList) > 0 {
		return 0, errNotConstant
	}
	switch t := q.Term; t.Type {
	case gojq.TermTypeNull, gojq.TermTypeTrue, gojq.TermTypeFalse, gojq.TermTypeNumber:
		return 1, nil
	case gojq.TermTypeString:
		return 1, plain(t.Str)
	case gojq.TermTypeUnary:
		return constant(&gojq.Query{Term: t.Unary.Term})
	case gojq.TermTypeArray:
		n, err := elements(t.Array.Query)
		return n + 1, err
	case gojq.TermTypeObject:
		return members(t.Object)
	}
	return 0, errNotConstant
}

var errNotConstant = refuse("an array or an object that is not written out")

// elements counts what is in an array.
func elements(q *gojq.Query) (values int, err error) {
	switch {
	case q == nil:
		return 0, nil
	case q.Op == gojq.OpComma && len(q.FuncDefs) == 0:
		left, err := elements(q.Left)
		right, err2 := elements(q.Right)
		return left + right, cmp.Or(err, err2)
	}
	return constant(q)
}

func members(o *gojq.Object) (values int, err error) {
	values = 1
	for _, member := range o.KeyVals {
		if member.KeyQuery != nil || member.Val == nil || plain(member.KeyString) != nil {
			return 0, errNotConstant
		}
		n, err := constant(member.Val)
		if err != nil {
			return 0, err
		}
		values += n
	}
	return values, nil
}

// pattern are the arguments of test: a regular expression and its flags.
func pattern(args []*gojq.Query) error {
	for _, arg := range args {
		if !isScalar(arg) || arg.Term.Type != gojq.TermTypeString {
			return errors.New("needs the regular expression of test, and its flags, written out as texts")
		}
	}
	re, err := syntax.Parse(args[0].Term.Str.Str, syntax.Perl)
	if err != nil {
		return errors.New("has a regular expression that cannot be read" + unreadable(err))
	}
	program, err := syntax.Compile(re.Simplify())
	if err != nil || len(program.Inst) > maxPattern {
		return errors.New("has a regular expression that is too large: counted repetitions such as {100} count in full")
	}
	return nil
}

// unreadable says what is wrong with a regular expression.
func unreadable(err error) string {
	if e, ok := errors.AsType[*syntax.Error](err); ok {
		return ": " + e.Code.String()
	}
	return ""
}
