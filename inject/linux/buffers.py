"""Which arguments of a call hold its data and their size: indexes, from the prototypes in section 2 of the manual."""

from typing import Final

# call -> index of the argument that holds the count
COUNTED: Final = {"read": 2, "write": 2, "pread64": 2, "pwrite64": 2, "recvfrom": 2, "sendto": 2, "sendfile": 3} | {
    "copy_file_range": 4,
    "splice": 4,
    "tee": 2,
    "getrandom": 1,
}
# call that takes a vector -> the plain one
VECTORED: Final = {"readv": "read", "writev": "write", "preadv": "pread64", "pwritev": "pwrite64"}
# call -> indexes of the buffer and its size
READING: Final = {"read": (1, 2), "pread64": (1, 2), "recvfrom": (1, 2), "getrandom": (0, 1), "readlink": (1, 2)} | {
    "readlinkat": (2, 3)
}
WRITING: Final = {"write": (1, 2), "pwrite64": (1, 2), "sendto": (1, 2)}
# call -> indexes of the vector and its length
SCATTERING: Final = dict.fromkeys(("readv", "preadv", "preadv2"), (1, 2))
GATHERING: Final = dict.fromkeys(("writev", "pwritev", "pwritev2"), (1, 2))
MESSAGES: Final = {"recvmsg": 1, "sendmsg": 1}  # call -> index of the struct msghdr
READERS: Final = frozenset({*READING, *SCATTERING, "recvmsg"})
CORRUPTIBLE: Final = READERS | {*WRITING, *GATHERING, "sendmsg"}
