package browsertest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// Shots is the folder for pictures that people look at, which SHOTS names.
func Shots(t testing.TB) string {
	t.Helper()
	folder := os.Getenv("SHOTS")
	if folder == "" {
		t.Fatal("set SHOTS to a folder")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

// Shot takes a picture and keeps it as a file, a PNG.
func (b *Tab) Shot(folder, name string, take chromedp.Action[[]byte]) {
	b.T.Helper()
	picture, err := chromedp.Run(b.Ctx, take)
	if err != nil {
		b.T.Fatal(b.says(err.Error()))
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644); err != nil {
		b.T.Fatal(err)
	}
}
