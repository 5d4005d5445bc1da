package store

import (
	"context"
	"os"
)

// Usage is what a database takes up.
type Usage struct {
	Database int64 // bytes of the file
	WAL      int64 // bytes of the write-ahead log
	Unused   int64 // bytes of the file that are free; upkeep gives them back
	Volume   Volume
	Requests int64 // kept, of all capture URLs
	Waiting  int64 // deliveries that are not finished
}

// Usage returns what the database takes up now.
func (s *Store) Usage(ctx context.Context) (Usage, error) {
	pages, err := queryOne(ctx, s.read, "page count", func(row scanner) (n int64, err error) { return n, row.Scan(&n) },
		"SELECT f.freelist_count * p.page_size FROM pragma_freelist_count f, pragma_page_size p")
	u := Usage{Database: fileSize(s.opts.Path), WAL: fileSize(s.opts.Path + "-wal"), Unused: pages}
	if v := s.disk.seen.Load(); v != nil {
		u.Volume = *v
	}
	snapshot := s.urls.load()
	for _, entry := range snapshot.sorted {
		u.Requests += entry.getStats().Kept
	}
	for _, entry := range snapshot.subs {
		u.Waiting += entry.getStatus().counts.Unfinished
	}
	return u, err
}

func fileSize(path string) int64 {
	info, err := os.Stat(path) // which opens nothing: closing a descriptor of the file would drop SQLite's locks
	if err != nil {
		return 0
	}
	return info.Size()
}
