/** Where links in mails lead. */
export interface Links {
  /** @param wanted an address of the user interface that the person came from */
  recovery(token: string, wanted: string | undefined): string
  verification(token: string): string
}

/**
 * @param base where people reach this gateway
 * @param origins of user interfaces that links may lead to as well. A request may ask for one of them and for no other place:
 *   who asks for somebody else's mail must not choose where its link leads, with the token in it
 */
export function createLinks(base: string, origins: readonly string[]): Links {
  const trusted = new Set([base, ...origins].map((url) => new URL(url).origin))
  const originOf = (wanted: string | undefined) =>
    wanted !== undefined && URL.canParse(wanted) && trusted.has(new URL(wanted).origin) ? wanted : undefined

  function link(place: string, path: string, token: string): string {
    const url = new URL(place)
    url.pathname = `${url.pathname.replace(/\/+$/, '')}${path}`
    url.search = new URLSearchParams({ token }).toString()
    url.hash = ''
    return url.href
  }

  return {
    recovery: (token, wanted) => link(originOf(wanted) ?? base, '/password/reset', token),
    verification: (token) => link(base, '/verify-email', token),
  }
}
