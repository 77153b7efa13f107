// A stand-in for the gloo header of this name. libtorch contains gloo but ships none of its
// headers, and ProcessGroupGloo.hpp includes this one. It declares only the names that
// ProcessGroupGloo.hpp uses. Nothing is defined or called here.
#pragma once
