using System.Text.Json.Serialization;
using UPool.Hosting;

namespace UPool.Management;

/// <summary>How the replies of this project are written: made at build time, no reflection.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(Envelope))]
[JsonSerializable(typeof(Envelope<HealthReport>))]
[JsonSerializable(typeof(Envelope<PoolsReport>))]
internal sealed partial class ManagementJson : JsonSerializerContext;
