package capi

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"testing"
)

func TestTheHeaderIsTheLibrarysOwn(t *testing.T) {
	want, err := os.ReadFile("../../../include/nsgate.h")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the module is not in the library's repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("nsgate.h")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("go/internal/capi/nsgate.h is stale: copy include/nsgate.h over it")
	}
}
