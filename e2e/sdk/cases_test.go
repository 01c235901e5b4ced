package sdk_test

import "testing"

type testCase struct {
	name   string
}

func (c testCase) runs(s sdk) bool { return false }
func (c testCase) check(t *testing.T, w *world, s sdk, up string) {}

var cases = []testCase{}
