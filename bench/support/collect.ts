/*
 * Loaded ahead of a program whose memory is measured: collects garbage when told so by a signal, so that what is read
 * afterwards is what the program holds and not what it has not thrown away yet.
 */
process.on('SIGUSR2', () => (globalThis as { gc?: () => void }).gc?.())
