package cli

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"github.com/hookkeeper/hookkeeper/internal/config"
)

// newLogger returns the logger of a server: lines for people on a terminal, JSON objects for programs elsewhere, unless
// the setting says otherwise.
func newLogger(w io.Writer, c config.Config) *slog.Logger {
	terminal := isTerminal(w)
	switch {
	case c.LogFormat == "json" || c.LogFormat == "auto" && !terminal:
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: c.LogLevel}))
	case terminal:
		colourless := os.Getenv("NO_COLOR") != ""
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: c.LogLevel, TimeFormat: time.TimeOnly, NoColor: colourless}))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: c.LogLevel}))
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
