package engine

import (
	"net/http"

	"github.com/colloquyhq/colloquy/console"
)

// statusPage serves the page that draws the node's metrics, for those who have no
// other way to look at them. It loads nothing from elsewhere.
func statusPage() http.Handler {
	files := http.StripPrefix("/status/", http.FileServerFS(console.StatusPage()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "+
			"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
}
