/** SenML of 120 bytes: one reading. */
export const PAYLOAD = Buffer.from(
  '[{"bn":"urn:dev:mac:0024befffe804ff1:","bt":1320067464.5,"n":"outside:temperature","u":"Cel","v":21.50}]'.padEnd(
    120,
  ),
)
