package caddytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Golden tests the files testdata/*.caddyfiletest of a package. Each is a Caddyfile,
// a line of ten hyphens, and the JSON that it stands for or, if no JSON is there,
// the error that refuses it.
func Golden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			caddyfile, want, ok := strings.Cut(string(text), "----------\n")
			if !ok {
				t.Fatal("no line of hyphens")
			}
			if got := adapted(caddyfile); got != strings.TrimSpace(want) {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

// adapted is what a golden file has below its hyphens.
func adapted(caddyfile string) string {
	config, warnings, err := adapt(caddyfile)
	if err != nil {
		return strings.TrimSpace(err.Error())
	}
	if len(warnings) > 0 {
		return fmt.Sprint("warnings: ", warnings)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, config, "", "\t"); err != nil {
		return err.Error()
	}
	return pretty.String()
}
