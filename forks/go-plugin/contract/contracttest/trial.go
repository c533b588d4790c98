// SPDX-License-Identifier: MPL-2.0

package contracttest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

// trial tries the methods of one stub.
type trial struct {
	t         *testing.T
	sentinels []error
	types     []error        // a value of each error type
	fakes     []reflect.Type // of callbacks: pointers to structs
}

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// methods tries each method of an interface: stub is what is called, fake what runs.
func (tr *trial) methods(iface reflect.Type, stub, fake reflect.Value) {
	for i := range iface.NumMethod() {
		m := iface.Method(i)
		tr.t.Run(m.Name, func(t *testing.T) {
			inner := *tr
			inner.t = t
			run := fake.Elem().FieldByName(m.Name + "Func")
			if !run.IsValid() {
				t.Fatalf("the fake %v has no %sFunc", fake.Type(), m.Name)
			}
			v := values{Rand: random(t.Name()), trial: &inner}
			for range rounds {
				inner.call(v, m, stub.MethodByName(m.Name), run, nil)
			}
			if hasError(m.Type) {
				inner.errorsOf(v, m, stub.MethodByName(m.Name), run)
			}
		})
	}
}

func hasError(f reflect.Type) bool {
	return f.NumOut() > 0 && f.Out(f.NumOut()-1) == errorType
}

// failure gives the error that a method is to return, wrapped and plain, for each that the
// contract knows.
func (tr *trial) errorsOf(v values, m reflect.Method, call, run reflect.Value) {
	plain := errors.New("a text that no contract knows {reattach-error:AAAA}")
	tr.call(v, m, call, run, plain)
	for _, known := range tr.sentinels {
		tr.call(v, m, call, run, known)
		tr.call(v, m, call, run, fmt.Errorf("%s: %w", m.Name, known))
	}
	for _, known := range tr.types {
		value := v.of(reflect.TypeOf(known), 0).Interface().(error)
		tr.call(v, m, call, run, value)
		tr.call(v, m, call, run, fmt.Errorf("%s: %w", m.Name, value))
	}
}

// exported reports whether all fields of a struct are part of its value.
func exported(t reflect.Type) bool {
	for i := range t.NumField() {
		if f := t.Field(i); !f.IsExported() && f.Tag.Get("reattach") != "-" {
			return false
		}
	}
	return true
}

// call calls a method once. run is set to what answers; failure is what that returns, if it
// is not nil.
func (tr *trial) call(v values, m reflect.Method, call, run reflect.Value, failure error) {
	tr.t.Helper()
	ctx, cancel := context.WithTimeout(tr.t.Context(), patience)
	defer cancel()
	begun, ended := make(chan struct{}), make(chan struct{})
	v.whole = failure != nil // one failure is enough
	sent := make([]argument, 0, m.Type.NumIn())
	in := make([]reflect.Value, 0, m.Type.NumIn())
	for i := range m.Type.NumIn() {
		a := v.argument(m.Type.In(i), ctx, begun)
		sent, in = append(sent, a), append(in, a.given)
	}
	answers := make([]argument, 0, m.Type.NumOut())
	for i := range m.Type.NumOut() {
		answers = append(answers, v.argument(m.Type.Out(i), ctx, begun))
	}
	if broken := breaks(sent); broken != nil && failure == nil {
		failure = broken // a call whose stream breaks off ends with that error
		if last := m.Type.NumOut() - 1; isSeq(m.Type.Out(last)) {
			answers[last].breaks, failure = broken, nil
			answers[last].differs = endsWith(broken)
		}
	}
	run.Set(reflect.MakeFunc(run.Type(), func(got []reflect.Value) []reflect.Value {
		close(begun)
		defer close(ended)
		for i, value := range got {
			tr.arrived(m.Name, "parameter", i, sent[i], value)
		}
		return tr.results(m.Type, answers, failure)
	}))
	var out []reflect.Value
	if m.Type.IsVariadic() {
		out = call.CallSlice(in)
	} else {
		out = call.Call(in)
	}
	if hasError(m.Type) {
		err, _ := out[len(out)-1].Interface().(error)
		tr.returned(m.Name, failure, err)
		out = out[:len(out)-1]
	}
	for i, value := range out {
		if failure == nil {
			tr.arrived(m.Name, "result", i, answers[i], value)
		}
	}
	select {
	case <-ended: // it may go on after a call that broke off
	case <-ctx.Done():
		tr.t.Errorf("%s: the implementation was not called", m.Name)
	}
}

// breaks gives the error that ends one of the streams that a method is given; nil if they
// end well.
func breaks(sent []argument) error {
	for _, a := range sent {
		if a.breaks != nil {
			return a.breaks
		}
	}
	return nil
}

// results are what the implementation returns.
func (tr *trial) results(f reflect.Type, answers []argument, failure error) []reflect.Value {
	out := make([]reflect.Value, f.NumOut())
	for i := range out {
		switch {
		case f.Out(i) == errorType && failure == nil:
			out[i] = reflect.Zero(errorType)
		case f.Out(i) == errorType:
			out[i] = reflect.ValueOf(&failure).Elem()
		case failure != nil:
			out[i] = reflect.Zero(f.Out(i))
		default:
			out[i] = answers[i].given
		}
	}
	return out
}

// returned compares the error of a call with that which the implementation returned.
func (tr *trial) returned(method string, want, got error) {
	tr.t.Helper()
	switch {
	case want == nil && got == nil:
		return
	case want == nil || got == nil || want.Error() != got.Error():
		tr.t.Errorf("%s: got error %v, want %v", method, got, want)
		return
	}
	for _, known := range tr.sentinels {
		if errors.Is(want, known) != errors.Is(got, known) {
			tr.t.Errorf("%s: errors.Is finds %v in one of %v and %v", method, known, want, got)
		}
	}
	for _, known := range tr.types {
		sent, came := reflect.New(reflect.TypeOf(known)), reflect.New(reflect.TypeOf(known))
		if errors.As(want, sent.Interface()) && !(errors.As(got, came.Interface()) && same(sent.Elem(), came.Elem())) {
			tr.t.Errorf("%s: errors.As finds %#v, and after the call %#v", method, sent.Elem().Interface(), came.Elem().Interface())
		}
	}
}

// arrived compares a value with the one that was sent.
func (tr *trial) arrived(method, sort string, i int, sent argument, got reflect.Value) {
	tr.t.Helper()
	if why := sent.differs(got); why != "" {
		tr.t.Errorf("%s: %s %d: %s", method, sort, i+1, why)
	}
}
