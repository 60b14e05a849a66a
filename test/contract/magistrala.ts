import module from '@absmach/magistrala-sdk'

// The package's types say CommonJS for its ES module too, so its default export appears one level too deep.
export const SDK = module as unknown as typeof module.default
export type SDK = InstanceType<typeof SDK>
