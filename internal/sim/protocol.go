package sim

import (
	"net/http"
	"time"
)

// dialect is how one family of APIs tells failures and names requests.
type dialect interface {
	// failure renders an error answer.
	failure(f *failure, requestID string) (status int, h http.Header, body []byte)
	// failureEvent renders an error inside a stream.
	failureEvent(f *failure) []byte
	// ping renders what the API sends to keep a quiet stream alive.
	ping() []byte
	// requestIDHeader names the header that carries the request's id.
	requestIDHeader() string
}

// protocol renders one kind of generation: it reads what a request asks for and
// writes a [Reply] as whole body or as the frames of a stream.
type protocol interface {
	dialect
	// name is the surface's name, as in [Match]: "openai.chat".
	name() string
	parse(r *http.Request, body []byte) (*ask, *failure)
	whole(x *exchange) []byte
	frames(x *exchange) []frame
}

// exchange is one request with all that its answer is made of.
type exchange struct {
	ask     *ask
	reply   *Reply
	ids     *ids
	created time.Time
	model   string
}

// frame is one event of a stream, as bytes ready to be sent.
type frame struct {
	data   []byte
	tokens int  // output tokens that this frame delivers
	tail   bool // comes after all content: finish reason, usage, end mark
}

// failKind says what went wrong, in words that all dialects share.
type failKind uint8

const (
	failInvalid failKind = iota
	failAuth
	failNotFound
	failMethod
	failTooLarge
	failRateLimit
	failQuota
	failOverloaded
	failServer
	failTimeout
	failUnrecorded // no cassette fits
)

// failure is an error that the provider answers with.
type failure struct {
	kind       failKind
	status     int // 0: the dialect's for this kind
	message    string
	param      string
	typ        string        // OpenAI: another type than the kind's
	retryAfter time.Duration // 0: no header
	noRetry    bool          // tell the client not to try again
}

func failureForStatus(status int) failKind {
	switch status {
	case 400, 422:
		return failInvalid
	case 401, 403:
		return failAuth
	case 404:
		return failNotFound
	case 413:
		return failTooLarge
	case 429:
		return failRateLimit
	case 408, 504:
		return failTimeout
	case 503, 529:
		return failOverloaded
	}
	return failServer
}
