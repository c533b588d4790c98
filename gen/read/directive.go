// SPDX-License-Identifier: MPL-2.0

package read

import (
	"errors"
	"fmt"
	"go/ast"
	"strconv"
	"strings"
	"time"

	"github.com/reattach/reattach/gen/model"
)

// prefix begins a comment that is for the generator.
const prefix = "//reattach:"

// word is one word of a directive, such as "timeout" with the value "2s".
type word struct{ name, value string }

// directives gives the words of the directives in comments: "//reattach:idempotent
// timeout=2s" has two.
func directives(groups ...*ast.CommentGroup) []word {
	var words []word
	for _, group := range groups {
		if group == nil {
			continue
		}
		for _, comment := range group.List {
			text, ok := strings.CutPrefix(comment.Text, prefix)
			if !ok {
				continue
			}
			for _, field := range strings.Fields(text) {
				name, value, _ := strings.Cut(field, "=")
				words = append(words, word{name, value})
			}
		}
	}
	return words
}

// declare sets what the comments of a method declare.
func declare(m *model.Method, words []word) error {
	for _, w := range words {
		if err := declareOne(m, w); err != nil {
			return err
		}
	}
	switch {
	case m.Repeats != nil && *m.Repeats > 0 && !m.Idempotent:
		return errors.New("repeats without idempotent: only a call that may run twice is sent again")
	case m.Panics && m.Err:
		return errors.New("panics is for a method that has no error to return")
	}
	return nil
}

func declareOne(m *model.Method, w word) (err error) {
	switch w.name {
	case "idempotent":
		m.Idempotent = true
	case "panics":
		m.Panics = true
	case "timeout":
		if m.Timeout, err = time.ParseDuration(w.value); err != nil || m.Timeout <= 0 {
			return fmt.Errorf("timeout=%s is not a time such as 2s", w.value)
		}
	case "repeats":
		n, err := strconv.Atoi(w.value)
		if err != nil || n < 0 {
			return fmt.Errorf("repeats=%s is not a number", w.value)
		}
		m.Repeats = &n
	case "optional":
		return optional(m, w.value)
	default:
		return fmt.Errorf("%s%s is not known here: a method has idempotent, timeout=2s, repeats=1, optional=name, panics", prefix, w.name)
	}
	return nil
}

// optional marks parameters or results, by name, that peers may leave out.
func optional(m *model.Method, names string) error {
	for name := range strings.SplitSeq(names, ",") {
		found := false
		for _, f := range append(m.Params[:len(m.Params):len(m.Params)], m.Results...) {
			if f.Name == name {
				f.Optional, found = true, true
			}
		}
		if !found {
			return fmt.Errorf("optional=%s: %s has no such parameter or result", name, m.Name)
		}
	}
	return nil
}
