// Memory that the loaded libraries' code takes.
#ifndef GDPRNN_LIBRARY_PAGES_H_
#define GDPRNN_LIBRARY_PAGES_H_

namespace gdprnn {

// Gives the pages of all loaded libraries that only repeat what is in their files back to the system, which maps them
// again where they are needed. MindSpore's runtime registers its operators when it is loaded, which brings nearly all
// of its 200 MB of code into memory; a network uses a small part of it.
void ReleaseLibraryPages();

}  // namespace gdprnn

#endif  // GDPRNN_LIBRARY_PAGES_H_
