// The file of an exported network, in the form in which the runtime starts soonest.
//
// The runtime turns a MINDIR into its own form whenever it builds one. So that form is kept: in the folder gdprnn of the
// user's cache, by the checksum of the MINDIR and the version of the runtime, as gdprnn_convert writes it.
#ifndef GDPRNN_NETWORK_FILE_H_
#define GDPRNN_NETWORK_FILE_H_

#include <string>

#include "description.h"
#include "options.h"

namespace gdprnn {

struct NetworkFile {
  std::string bytes;
  bool is_converted = false;  // whether they are the runtime's own form
};

// Reads the network at `options.model_path`; for a processor its converted form from the cache, which is made where it is
// missing or damaged. Where that cannot be done it is the MINDIR, without a word (with options.verbose it is told).
//
// Raises Failure(kModel): the file at `options.model_path` is missing, or not that of the description.
NetworkFile ReadNetwork(const Options& options, const Description& description);

// The folder of converted networks: $XDG_CACHE_HOME/gdprnn or $HOME/.cache/gdprnn; "" where neither is an absolute path.
std::string CacheFolder();

}  // namespace gdprnn

#endif  // GDPRNN_NETWORK_FILE_H_
