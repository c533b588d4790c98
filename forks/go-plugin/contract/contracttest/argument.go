// SPDX-License-Identifier: MPL-2.0

package contracttest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// argument is a value that is given to a method or returned by it, and how one tells that
// it has arrived. differs is called once: a stream can be read once.
type argument struct {
	given   reflect.Value
	differs func(got reflect.Value) string
	// breaks is how a stream ends that breaks off; nil if it ends well.
	breaks error
}

// argument makes a value for a parameter or a result. A stream breaks off only after the
// method has begun.
func (v values) argument(t reflect.Type, ctx context.Context, begun <-chan struct{}) argument {
	switch {
	case t == contextType:
		return argument{given: reflect.ValueOf(ctx), differs: func(got reflect.Value) string {
			if got.IsNil() {
				return "there is no context"
			}
			return ""
		}}
	case t == errorType:
		return argument{given: reflect.Zero(t)}
	case isSeq(t):
		return v.seq(t, ctx, begun)
	case t.Kind() == reflect.Chan:
		return v.channel(t)
	case t.Kind() == reflect.Interface:
		return v.callback(t)
	}
	sent := v.of(t, 0)
	return argument{given: sent, differs: func(got reflect.Value) string { return difference(sent, got) }}
}

func difference(sent, got reflect.Value) string {
	if same(sent, got) {
		return ""
	}
	return fmt.Sprintf("got %#v, want %#v", got.Interface(), sent.Interface())
}

// isSeq reports whether t is iter.Seq2[T, error].
func isSeq(t reflect.Type) bool {
	return t.Kind() == reflect.Func && strings.HasPrefix(t.String(), "iter.Seq2[")
}

// seq makes a stream of some items, and perhaps of an error after them.
func (v values) seq(t reflect.Type, ctx context.Context, begun <-chan struct{}) argument {
	yield := t.In(0)
	items := v.items(yield.In(0))
	var last error
	if !v.whole && v.IntN(3) == 0 {
		last = errors.New("the stream breaks off")
		if known := v.trial.sentinels; len(known) > 0 {
			last = known[0]
		}
	}
	given := reflect.MakeFunc(t, func(in []reflect.Value) []reflect.Value {
		for _, item := range items {
			if !in[0].Call([]reflect.Value{item, reflect.Zero(errorType)})[0].Bool() {
				return nil
			}
		}
		if last != nil {
			select {
			case <-begun:
			case <-ctx.Done():
			}
			in[0].Call([]reflect.Value{reflect.Zero(yield.In(0)), reflect.ValueOf(&last).Elem()})
		}
		return nil
	})
	return argument{given: given, breaks: last, differs: func(got reflect.Value) string {
		var came []reflect.Value
		var failed error
		got.Call([]reflect.Value{reflect.MakeFunc(yield, func(in []reflect.Value) []reflect.Value {
			if err, _ := in[1].Interface().(error); err != nil {
				failed = err
			} else {
				came = append(came, in[0])
			}
			return []reflect.Value{reflect.ValueOf(true)}
		})})
		switch {
		case (failed == nil) != (last == nil):
			return fmt.Sprintf("the stream ended with %v, want %v", failed, last)
		case failed == nil:
			return listDiffers(items, came)
		}
		return "" // what was under way when it broke off may be lost
	}}
}

func (v values) items(t reflect.Type) []reflect.Value {
	items := make([]reflect.Value, v.IntN(6))
	for i := range items {
		items[i] = v.of(t, 0)
	}
	return items
}

func listDiffers(sent, got []reflect.Value) string {
	if len(sent) != len(got) {
		return fmt.Sprintf("got %d items, want %d", len(got), len(sent))
	}
	for i := range sent {
		if why := difference(sent[i], got[i]); why != "" {
			return fmt.Sprintf("item %d: %s", i+1, why)
		}
	}
	return ""
}

// channel makes a channel of some items, which is closed after them.
func (v values) channel(t reflect.Type) argument {
	items := v.items(t.Elem())
	c := reflect.MakeChan(reflect.ChanOf(reflect.BothDir, t.Elem()), len(items))
	for _, item := range items {
		c.Send(item)
	}
	c.Close()
	return argument{given: c.Convert(t), differs: func(got reflect.Value) string {
		var came []reflect.Value
		for {
			item, ok := got.Recv()
			if !ok {
				return listDiffers(items, came)
			}
			came = append(came, item)
		}
	}}
}

// callback makes an interface that the other side calls, or nil.
func (v values) callback(t reflect.Type) argument {
	var fake reflect.Value
	for _, f := range v.trial.fakes {
		if f.Implements(t) {
			fake = reflect.New(f.Elem())
		}
	}
	if !fake.IsValid() {
		v.trial.t.Fatalf("no fake implements %v", t)
	}
	if v.IntN(4) == 0 {
		return argument{given: reflect.Zero(t), differs: func(got reflect.Value) string {
			if !got.IsNil() {
				return "a nil interface is not nil any more"
			}
			return ""
		}}
	}
	given := reflect.New(t).Elem()
	given.Set(fake)
	return argument{given: given, differs: func(got reflect.Value) string {
		if got.IsNil() {
			return "an interface has become nil"
		}
		inner := *v.trial
		for i := range t.NumMethod() {
			m := t.Method(i)
			inner.call(v, m, got.MethodByName(m.Name), fake.Elem().FieldByName(m.Name+"Func"), nil)
		}
		return ""
	}}
}

// endsWith tells that a stream ends with an error of that text.
func endsWith(want error) func(reflect.Value) string {
	return func(got reflect.Value) string {
		var failed error
		yield := got.Type().In(0)
		got.Call([]reflect.Value{reflect.MakeFunc(yield, func(in []reflect.Value) []reflect.Value {
			if err, _ := in[1].Interface().(error); err != nil {
				failed = err
			}
			return []reflect.Value{reflect.ValueOf(true)}
		})})
		if failed == nil || failed.Error() != want.Error() {
			return fmt.Sprintf("the stream ended with %v, want %v", failed, want)
		}
		return ""
	}
}
