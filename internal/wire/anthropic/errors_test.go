package anthropic

import "time"

var now = time.Date(2026, 2, 15, 8, 0, 0, 0, time.UTC)
