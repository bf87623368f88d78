using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.OpenApi;
using UPool.Api.Users;
using UPool.Management;

namespace UPool.Api.OpenApi;

/// <summary>
/// The OpenAPI document at <c>/openapi/v1.json</c>. The handlers read their own input, so that every error has our
/// message; their input and replies are therefore described here.
/// </summary>
internal static class OpenApiExtensions
{
    private const string Json = "application/json";

    private static readonly (int Status, string Means)[] CallFailures =
    [
        (StatusCodes.Status500InternalServerError,
            "The database failed the statement: msg is `error`. Nothing was changed."),
        (StatusCodes.Status503ServiceUnavailable,
            "Refused: msg is `queue empty`, or `error` when the database or the cluster cannot be reached. Nothing was "
            + "changed; try again after Retry-After."),
    ];

    private static readonly (int Status, string Means) ReadTooLate =
        (StatusCodes.Status504GatewayTimeout, "Past its deadline: msg is `error`.");

    private static readonly (int Status, string Means) WriteUnknown =
        (StatusCodes.Status504GatewayTimeout, "msg is `outcome unknown`: it may have been done or not.");

    private static readonly (int Status, string Means) WrongInput =
        (StatusCodes.Status400BadRequest, "Bad input: msg names the problem. Nothing was changed.");

    private static readonly (int Status, string Means) NoSuchUser =
        (StatusCodes.Status404NotFound, "No such user: msg is `not found`.");

    private static readonly (int Status, string Means)[] WrongBody =
    [
        WrongInput,
        (StatusCodes.Status408RequestTimeout, "The body did not arrive in time."),
        (StatusCodes.Status413PayloadTooLarge, "The body is larger than UPool:Http:MaxBodyBytes."),
        (StatusCodes.Status415UnsupportedMediaType, "The body is not application/json in UTF-8."),
    ];

    public static void AddUPoolOpenApi(this IServiceCollection services)
    {
        services.ConfigureHttpJsonOptions(static options =>
            options.SerializerOptions.TypeInfoResolverChain.Insert(0, UserJson.Default));
        services.AddOpenApi(static options =>
        {
            options.AddDocumentTransformer(static (document, _, _) =>
            {
                document.Info = new OpenApiInfo
                {
                    Title = "uPool",
                    Version = "v1",
                    Description = "Every body is an envelope: `code` 1 or 0, `msg`, and `data` where there is some. "
                        + "A client that names `application/problem+json` in Accept gets errors in that form. "
                        + "HEAD works where GET does. With UPool:Http:AlwaysReply200 every status of the users' "
                        + "routes is 200.",
                };

                // No server address: the one that a caller used may be a proxy's.
                document.Servers?.Clear();
                foreach (OpenApiPathItem path in document.Paths.Values.OfType<OpenApiPathItem>())
                    path.Operations?.Remove(HttpMethod.Head);
                return Task.CompletedTask;
            });
        });
    }

    public static void MapUPoolOpenApi(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapOpenApi("/openapi/{documentName}.json").Add(static endpoint =>
        {
            HttpMethodMetadata[] methods = [.. endpoint.Metadata.OfType<HttpMethodMetadata>()];
            foreach (HttpMethodMetadata method in methods) endpoint.Metadata.Remove(method);
            endpoint.Metadata.Add(new HttpMethodMetadata([HttpMethods.Get, HttpMethods.Head]));
        });

    public static void DescribeRoot(this IEndpointConventionBuilder endpoint) =>
        endpoint.Describe("Root", "Whether the API runs", StatusCodes.Status200OK, typeof(Envelope), [CallFailures[1]]);

    public static void DescribeList(this IEndpointConventionBuilder endpoint) => endpoint
        .Describe("ListUsers", "Users in id order; page with `limit` and `after`", StatusCodes.Status200OK,
            typeof(UserPageReply), [WrongInput, .. CallFailures, ReadTooLate])
        .AddOpenApiOperationTransformer(static (operation, _, _) =>
        {
            AddParameter(operation, "limit", ParameterLocation.Query,
                "The most users to reply with; at most, and when absent, UPool:Http:MaxRows.", 1);
            AddParameter(operation, "after", ParameterLocation.Query,
                "Only ids above this one: the `next` of the page before.", 0);
            return Task.CompletedTask;
        });

    public static void DescribeGet(this IEndpointConventionBuilder endpoint) => endpoint
        .Describe("GetUser", "One user", StatusCodes.Status200OK, typeof(UserReply),
            [WrongInput, NoSuchUser, .. CallFailures, ReadTooLate])
        .WithId();

    public static void DescribeCreate(this IEndpointConventionBuilder endpoint) => endpoint
        .Describe("CreateUser", "Creates a user", StatusCodes.Status201Created, typeof(UserReply),
            [.. WrongBody, .. CallFailures, WriteUnknown])
        .WithBody(typeof(NewUser))
        .AddOpenApiOperationTransformer(static (operation, _, _) =>
        {
            AddHeader(operation, StatusCodes.Status201Created, "Location", "The path of the user.");
            return Task.CompletedTask;
        });

    public static void DescribeCreateBatch(this IEndpointConventionBuilder endpoint) => endpoint
        .Describe("CreateUsers", "Creates 1 to 1,000 users in one transaction: all or none, replied in order",
            StatusCodes.Status201Created, typeof(UsersReply), [.. WrongBody, .. CallFailures, WriteUnknown])
        .WithBody(typeof(NewUser[]), static schema => (schema.MinItems, schema.MaxItems) = (1, UserBody.MaxBatch));

    public static void DescribeRename(this IEndpointConventionBuilder endpoint) => endpoint
        .Describe("RenameUser", "Gives a user another name", StatusCodes.Status200OK, typeof(UserReply),
            [.. WrongBody, NoSuchUser, .. CallFailures, WriteUnknown])
        .WithId()
        .WithBody(typeof(NewUser));

    public static void DescribeDelete(this IEndpointConventionBuilder endpoint) => endpoint
        .Describe("DeleteUser", "Deletes a user; replies with the deleted user", StatusCodes.Status200OK,
            typeof(UserReply), [WrongInput, NoSuchUser, .. CallFailures, WriteUnknown])
        .WithId();

    private static IEndpointConventionBuilder Describe(
        this IEndpointConventionBuilder endpoint,
        string name,
        string summary,
        int okStatus,
        Type okType,
        (int Status, string Means)[] failures)
    {
        endpoint.WithHandlerDescribed().WithName(name).WithSummary(summary).WithTags("users");
        endpoint.WithMetadata(new ProducesResponseTypeMetadata(okStatus, okType, [Json]));
        foreach ((int status, _) in failures)
            endpoint.WithMetadata(new ProducesResponseTypeMetadata(status, typeof(Envelope), [Json]));

        return endpoint.AddOpenApiOperationTransformer((operation, _, _) =>
        {
            foreach ((int status, string means) in failures)
            {
                if (operation.Responses?[Key(status)] is OpenApiResponse response) response.Description = means;
            }

            AddHeader(operation, StatusCodes.Status503ServiceUnavailable, "Retry-After", "Seconds to wait.");
            AddHeader(
                operation, StatusCodes.Status503ServiceUnavailable, EnvelopeResponse.ReasonHeader,
                "Why it was refused.", Enum.GetValues<RefusalReason>().Select(static reason => reason.ToHeader()));
            return Task.CompletedTask;
        });
    }

    private static IEndpointConventionBuilder WithId(this IEndpointConventionBuilder endpoint) =>
        endpoint.AddOpenApiOperationTransformer(static (operation, _, _) =>
        {
            AddParameter(operation, "id", ParameterLocation.Path, "The user's id.", 1);
            return Task.CompletedTask;
        });

    // For the document only: the framework's own metadata would also make routing refuse requests, with its own reply.
    private static IEndpointConventionBuilder WithBody(
        this IEndpointConventionBuilder endpoint, Type type, Action<OpenApiSchema>? refine = null) =>
        endpoint.AddOpenApiOperationTransformer(async (operation, context, cancellationToken) =>
        {
            OpenApiSchema schema = await context.GetOrCreateSchemaAsync(type, null, cancellationToken);
            refine?.Invoke(schema);
            operation.RequestBody = new OpenApiRequestBody
            {
                Required = true,
                Content = new Dictionary<string, OpenApiMediaType> { [Json] = new() { Schema = schema } },
            };
        });

    private static void AddParameter(
        OpenApiOperation operation, string name, ParameterLocation location, string description, int minimum)
    {
        operation.Parameters ??= [];
        foreach (IOpenApiParameter found in operation.Parameters.Where(parameter => parameter.Name == name).ToArray())
            operation.Parameters.Remove(found);
        operation.Parameters.Add(new OpenApiParameter
        {
            Name = name,
            In = location,
            Required = location == ParameterLocation.Path,
            Description = description,
            Schema = new OpenApiSchema
            {
                Type = JsonSchemaType.Integer,
                Format = "int64",
                Minimum = minimum.ToString(CultureInfo.InvariantCulture),
            },
        });
    }

    private static void AddHeader(
        OpenApiOperation operation, int status, string name, string description, IEnumerable<string>? values = null)
    {
        if (operation.Responses?[Key(status)] is not OpenApiResponse response) return;

        response.Headers ??= new Dictionary<string, IOpenApiHeader>();
        response.Headers[name] = new OpenApiHeader
        {
            Description = description,
            Schema = new OpenApiSchema
            {
                Type = JsonSchemaType.String,
                Enum = values?.Select(static value => (JsonNode)value).ToList(),
            },
        };
    }

    private static string Key(int status) => status.ToString(CultureInfo.InvariantCulture);
}
