package testutil

import (
	"reflect"
	"testing"
)

// CallsOfNothing calls all exported methods of a value with nothing as arguments: nil
// and zero values. None may panic, and those that can give an error must, but for those
// that are named.
func CallsOfNothing(t *testing.T, value any, withoutError ...string) {
	t.Helper()
	fine := map[string]bool{}
	for _, name := range withoutError {
		fine[name] = true
	}
	v := reflect.ValueOf(value)
	for i := range v.NumMethod() {
		method := v.Type().Method(i)
		CallOfNothing(t, method.Name, v.Method(i).Interface(), fine[method.Name])
	}
}

// CallOfNothing calls a function so.
func CallOfNothing(t *testing.T, name string, function any, withoutError bool) {
	t.Helper()
	defer func() {
		if cause := recover(); cause != nil {
			t.Errorf("%s: panic: %v", name, cause)
		}
	}()
	f := reflect.ValueOf(function)
	var arguments []reflect.Value
	for i := range f.Type().NumIn() {
		if f.Type().IsVariadic() && i == f.Type().NumIn()-1 {
			break
		}
		arguments = append(arguments, reflect.Zero(f.Type().In(i)))
	}
	results := f.Call(arguments)
	if len(results) == 0 || withoutError {
		return
	}
	last := results[len(results)-1]
	if last.Type() == reflect.TypeFor[error]() && last.IsNil() {
		t.Errorf("%s: found no error", name)
	}
}
